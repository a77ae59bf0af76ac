//! `ipfrs ls`.

use crate::client::Client;
use crate::error::CliError;
use crate::output;
use serde::Deserialize;

/// Types of links (UnixFS `Data.DataType`) that are directories: directory, metadata of one, and a shard of one.
const DIRECTORIES: [i32; 3] = [1, 3, 5];

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Directories
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    objects: Option<Vec<Directory>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Directory {
    hash: String,
    links: Option<Vec<Link>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Link {
    name: String,
    hash: String,
    size: u64,
    r#type: i32,
}

impl LsArgs {
    pub(crate) async fn run(self, client: &Client) -> Result<(), CliError> {
        let several = self.paths.len() > 1;
        let call = client.call("ls").args(&self.paths);
        call.show(|listing: Listing| {
            for (n, directory) in listing.objects.into_iter().flatten().enumerate() {
                if several {
                    output::line(format!("{}{}:", if n > 0 { "\n" } else { "" }, directory.hash))?;
                }
                let rows: Vec<_> = directory.links.into_iter().flatten().map(row).collect();
                output::table(&rows)?;
            }
            Ok(())
        })
        .await
    }
}

fn row(Link { name, hash, size, r#type }: Link) -> Vec<String> {
    match DIRECTORIES.contains(&r#type) {
        true => vec![hash, "-".to_owned(), format!("{name}/")],
        false => vec![hash, size.to_string(), name],
    }
}
