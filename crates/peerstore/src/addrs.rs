//! Which addresses are worth remembering, and in which order.

use ipfrs_contract::{Multiaddr, PeerId, Protocol, without_peer};

/// Longest address remembered. The longest that are dialled, WebSocket over a DNS name, stay below; certificate hashes
/// and forged addresses do not.
pub(crate) const MAX_ADDR_BYTES: usize = 256;

/// The address without `/p2p` of `peer` at its end, if anybody could dial it.
///
/// Refused are addresses of another peer, relayed ones, unspecified hosts, port 0 and whatever names no transport.
pub(crate) fn clean(peer: &PeerId, addr: &Multiaddr) -> Option<Multiaddr> {
    if addr.len() > MAX_ADDR_BYTES {
        return None;
    }
    let bare = match addr.iter().last()? {
        Protocol::P2p(last) if last == *peer => without_peer(addr),
        _ => addr.clone(),
    };
    let mut transport = false;
    for part in bare.iter() {
        match part {
            Protocol::Ip4(ip) if ip.is_unspecified() => return None,
            Protocol::Ip6(ip) if ip.is_unspecified() => return None,
            Protocol::Tcp(0) | Protocol::Udp(0) | Protocol::P2pCircuit | Protocol::P2p(_) => return None,
            Protocol::Tcp(_) | Protocol::Quic | Protocol::QuicV1 | Protocol::Memory(_) | Protocol::Dnsaddr(_) => {
                transport = true
            }
            _ => {}
        }
    }
    transport.then_some(bare)
}

/// Puts an address that just worked first.
pub(crate) fn promote(addrs: &mut Vec<Multiaddr>, addr: Multiaddr, max: usize) {
    addrs.retain(|known| *known != addr);
    addrs.insert(0, addr);
    addrs.truncate(max);
}

/// Puts addresses that just failed last.
pub(crate) fn demote(addrs: &mut [Multiaddr], failed: &[Multiaddr]) {
    // A stable sort keeps the order of those that did not fail.
    addrs.sort_by_key(|addr| failed.contains(addr));
}

/// Takes in what a peer says of itself: the address that works stays first, then what it says, then what was known.
pub(crate) fn announced(addrs: &mut Vec<Multiaddr>, said: Vec<Multiaddr>, max: usize) {
    let known = std::mem::take(addrs);
    let mut rest = known.into_iter();
    for addr in rest.next().into_iter().chain(said).chain(rest) {
        if addrs.len() < max && !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
}

/// Takes in hearsay: only where there is room.
pub(crate) fn heard(addrs: &mut Vec<Multiaddr>, said: Vec<Multiaddr>, max: usize) {
    for addr in said {
        if addrs.len() < max && !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_can_be_dialled_is_remembered() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        for good in [
            "/ip4/1.2.3.4/tcp/4001",
            "/ip6/::1/udp/4001/quic-v1",
            "/dns4/a.example/tcp/443/tls/ws",
            "/memory/7",
            "/dnsaddr/a.example",
        ] {
            assert_eq!(clean(&peer, &addr(good)), Some(addr(good)), "{good}");
            assert_eq!(clean(&peer, &addr(&format!("{good}/p2p/{peer}"))), Some(addr(good)), "{good} with its peer");
            assert_eq!(clean(&peer, &addr(&format!("{good}/p2p/{other}"))), None, "{good} of somebody else");
        }
        let long = format!("/dns4/{}/tcp/1", "a".repeat(MAX_ADDR_BYTES));
        for bad in [
            "/ip4/0.0.0.0/tcp/4001",
            "/ip6/::/udp/1/quic-v1",
            "/ip4/1.2.3.4",
            "/ip4/1.2.3.4/tcp/0",
            "/ip4/1.2.3.4/udp/4001",
            &long,
        ] {
            assert_eq!(clean(&peer, &addr(bad)), None, "{bad}");
        }
        let relayed = addr(&format!("/ip4/1.2.3.4/tcp/4001/p2p/{other}/p2p-circuit"));
        assert_eq!(clean(&peer, &relayed), None);
        assert_eq!(clean(&peer, &Multiaddr::empty()), None);
    }

    #[test]
    fn what_worked_comes_first_and_what_failed_last() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|n| addr(&format!("/ip4/1.2.3.{n}/tcp/4001")));
        let mut addrs = vec![a.clone(), b.clone()];
        promote(&mut addrs, b.clone(), 2);
        assert_eq!(addrs, [b.clone(), a.clone()]);
        announced(&mut addrs, vec![c.clone(), b.clone()], 3);
        assert_eq!(addrs, [b.clone(), c.clone(), a.clone()]);
        heard(&mut addrs, vec![d.clone()], 3);
        assert_eq!(addrs.len(), 3, "hearsay does not displace");
        demote(&mut addrs, std::slice::from_ref(&b));
        assert_eq!(addrs, [c, a, b]);
    }
}
