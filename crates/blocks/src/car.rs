//! CAR v1 files: content-addressed archives (CARv1 specification).

use crate::{BlockStore, StoreError, verify};
use cid::Cid;
use iroh_car::{CarHeader, CarReader, CarWriter};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why an archive could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarError {
    /// The archive is malformed or its reader or writer failed.
    #[error("CAR: {0}")]
    Archive(#[from] iroh_car::Error),
    /// The store failed, or a block is not what its CID says.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Stores every block of an archive, each checked; returns the roots and the number of blocks.
pub async fn import(archive: impl AsyncRead + Send + Unpin, store: &BlockStore) -> Result<(Vec<Cid>, u64), CarError> {
    let mut reader = CarReader::new(archive).await?;
    let roots = reader.header().roots().to_vec();
    let mut blocks = 0;
    while let Some((cid, data)) = reader.next_block().await? {
        verify(&cid, &data).map_err(StoreError::from)?;
        store.put(&cid, &data)?;
        blocks += 1;
    }
    Ok((roots, blocks))
}

/// Writes an archive piece by piece.
pub struct Exporter<W>(CarWriter<W>);

impl<W: AsyncWrite + Send + Unpin> Exporter<W> {
    /// Starts an archive with these roots.
    pub fn new(roots: Vec<Cid>, writer: W) -> Self {
        Exporter(CarWriter::new(CarHeader::new_v1(roots), writer))
    }

    /// Appends a block.
    pub async fn write(&mut self, cid: Cid, data: &[u8]) -> Result<(), CarError> {
        self.0.write(cid, data).await?;
        Ok(())
    }

    /// Ends the archive.
    pub async fn finish(self) -> Result<W, CarError> {
        Ok(self.0.finish().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{RAW, cid_of};

    #[tokio::test]
    async fn an_archive_carries_blocks_and_a_forged_one_is_refused() {
        let (a, b) = (cid_of(1, RAW, b"a"), cid_of(1, RAW, b"b"));
        let mut exporter = Exporter::new(vec![a], Vec::new());
        exporter.write(a, b"a").await.unwrap();
        exporter.write(b, b"b").await.unwrap();
        let archive = exporter.finish().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = BlockStore::open(dir.path()).unwrap().store;
        assert_eq!(import(&archive[..], &store).await.unwrap(), (vec![a], 2));
        assert!(store.has(&b).unwrap());

        let mut exporter = Exporter::new(vec![a], Vec::new());
        exporter.write(a, b"x").await.unwrap();
        let forged = exporter.finish().await.unwrap();
        assert!(matches!(import(&forged[..], &store).await, Err(CarError::Store(StoreError::Verify(_)))));
    }
}
