//! What systemd hears of the daemon.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use super::machines::{EVERYTHING, Machines};
use crate::program::realized;

/// Reads notifications until one says `wanted`.
fn hears(socket: &UnixDatagram, wanted: &str) {
    let mut said = [0; 4096];
    loop {
        let count = socket.recv(&mut said).unwrap();
        let text = String::from_utf8_lossy(&said[..count]);
        if text.lines().any(|line| line == wanted) {
            return;
        }
    }
}

#[test]
fn it_is_told_of_readiness_reload_and_stop() {
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    let path = machines.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();

    let daemon = realized(["--config".as_ref(), machines.nas_config().as_os_str()])
        .variable("NOTIFY_SOCKET", &path)
        .spawn();
    hears(&socket, "READY=1");
    assert!(daemon.stdout_so_far().starts_with("listening on tcp "));
    daemon.signal(Signal::HUP);
    hears(&socket, "RELOADING=1");
    hears(&socket, "READY=1");
    daemon.signal(Signal::TERM);
    hears(&socket, "STOPPING=1");
    daemon.wait().expect(0);
}
