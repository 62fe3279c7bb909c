//! UDP sockets, with the buffers that QUIC needs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::net::sockopt;

/// A socket at `address`, with buffers of `bytes` in each direction as far as the system grants
/// them. Where it does not, a warning says how.
pub(crate) fn bind(address: SocketAddr, bytes: u64) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
    let (received, sent) = enlarge(&socket, wanted);
    for (granted, limit) in [(received, "rmem_max"), (sent, "wmem_max")] {
        if granted < wanted {
            tracing::warn!(
                event = "quic.buffer",
                wanted,
                granted,
                "the system grants a UDP socket less than it should have, and fast transfers lose \
                 packets; raise the limit: sysctl -w net.core.{limit}={wanted}"
            );
        }
    }
    Ok(socket)
}

/// Asks for buffers; answers what was granted for receiving and for sending, in bytes.
fn enlarge(socket: &UdpSocket, wanted: usize) -> (usize, usize) {
    // Whoever may exceed the system's limits does; the others get as much as they allow.
    if sockopt::set_socket_recv_buffer_size_force(socket, wanted).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(socket, wanted);
    }
    let _ = sockopt::set_socket_send_buffer_size(socket, wanted);
    // Linux doubles what it is asked for, for its own accounts, and answers the double.
    let granted = |size: rustix::io::Result<usize>| size.unwrap_or_default() / 2;
    (
        granted(sockopt::socket_recv_buffer_size(socket)),
        granted(sockopt::socket_send_buffer_size(socket)),
    )
}

/// A socket that can reach anywhere: IPv6 and IPv4, or IPv4 alone where there is no IPv6.
pub(crate) fn bind_anywhere(bytes: u64) -> io::Result<UdpSocket> {
    bind((Ipv6Addr::UNSPECIFIED, 0).into(), bytes)
        .or_else(|_| bind((Ipv4Addr::UNSPECIFIED, 0).into(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_as_large_as_was_asked_for_or_as_the_system_grants() {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into(), 64 << 10).unwrap();
        let (received, sent) = enlarge(&socket, 96 << 10);
        assert_eq!((received, sent), (96 << 10, 96 << 10));
        let (received, _) = enlarge(&socket, 1 << 30);
        assert!(received >= 96 << 10, "{received}");
    }
}
