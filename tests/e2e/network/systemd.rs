//! What systemd hears of the daemon.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use super::machines::{EVERYTHING, Machines};
use crate::program::{realized, wait_until};

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
fn the_journal_gets_the_level_of_each_line_and_no_time() {
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    let config = machines.nas_config();
    let daemon = realized(["--config".as_ref(), config.as_os_str()])
        .with_journal()
        .spawn();
    let said = || daemon.stderr_so_far();
    wait_until("the daemon to listen", Duration::from_secs(30), || {
        said().contains("event=daemon.listening")
    });
    fs::write(&config, "[listen").unwrap();
    daemon.signal(Signal::HUP);
    wait_until("the daemon to refuse", Duration::from_secs(30), || {
        said().contains("event=config.rejected")
    });
    daemon.signal(Signal::TERM);
    let outcome = daemon.wait().expect(0);
    let text = outcome.stderr_text();
    for (event, level) in [
        ("daemon.started", "<6>level=info "),
        ("config.rejected", "<3>level=error "),
        ("daemon.stopping", "<6>level=info "),
    ] {
        let mut lines = text.lines();
        let line = lines.find(|line| line.contains(&format!("event={event} ")));
        let line = line.unwrap_or_else(|| panic!("no {event}: {outcome}"));
        assert!(line.starts_with(level), "{outcome}");
    }
    assert!(!text.contains("time="), "{outcome}");
}

/// A service that hands its standard error to something else leaves the variable as it is.
#[test]
fn what_is_no_journal_gets_the_time() {
    let machines = Machines::new();
    machines.configure_nas("taken", EVERYTHING);
    let outcome = realized(["--config".as_ref(), machines.nas_config().as_os_str()])
        .variable("JOURNAL_STREAM", "1:2")
        .run();
    let text = outcome.stderr_text();
    assert!(text.starts_with("time="), "{outcome}");
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
