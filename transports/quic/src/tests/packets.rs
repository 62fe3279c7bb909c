//! Packets: how large they are, and how they are handed to the system.

use std::sync::{Arc, Mutex};

use rstest::rstest;
use tracing::field::{Field, Visit};
use tracing::span;

use super::*;

/// The connection over which so many bytes went to `nas`.
async fn sent(machines: &Machines, count: usize) -> (quinn::Connection, impl Sized + use<>) {
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    send(&mut near, &mut far, count).await;
    (machines.standing().remove(0), (near, far, listener))
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn gso_hands_packets_to_the_system_many_at_a_time(#[case] gso: bool) {
    let machines = Machines::with(QuicOptions {
        gso,
        ..QuicOptions::default()
    });
    let (connection, _ends) = sent(&machines, 4 << 20).await;
    let sent = connection.stats().udp_tx;
    assert!(sent.datagrams > 2000, "{sent:?}");
    if gso {
        assert!(sent.ios < sent.datagrams / 2, "{sent:?}");
    } else {
        assert_eq!(sent.ios, sent.datagrams);
    }
}

#[rstest]
#[case(1200, 1200)]
#[case(1452, 1452)]
#[case(6550, 6500)]
#[case(9000, 8900)]
#[case(65_527, 65_000)]
#[tokio::test]
async fn a_packet_may_grow_to_the_mtu(#[case] mtu: u16, #[case] at_least: u16) {
    let machines = Machines::with(QuicOptions {
        mtu: number(mtu.into()),
        ..QuicOptions::default()
    });
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    let connection = machines.standing().remove(0);
    // It is tried step by step, while something is sent.
    soon(async {
        loop {
            talk((&mut near, &mut far), 100_000).await;
            let found = connection.stats().path.current_mtu;
            eprintln!(
                "{mtu} {:?} {:?}",
                connection.stats().path,
                connection.stats().udp_tx
            );
            assert!(found <= mtu, "{found}");
            if found >= at_least {
                return;
            }
        }
    })
    .await;
    // And none of its size is lost.
    send(&mut near, &mut far, 8 << 20).await;
    let path = connection.stats().path;
    assert_eq!(path.black_holes_detected, 0, "{path:?}");
    assert!(path.current_mtu >= at_least, "{path:?}");
}

/// The events of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("realize_quic")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(format!("{} ", event.metadata().level()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0.trim().to_owned());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What is logged when both machines have sockets, with buffers of so many bytes.
async fn logged(udp_buffer: u64) -> Vec<String> {
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());
    let machines = Machines::with(QuicOptions {
        udp_buffer: number(udp_buffer),
        ..QuicOptions::default()
    });
    let (_listener, _) = machines.listen().await;
    machines.cam.socket().unwrap();
    drop(logging);
    let events = log.0.lock().unwrap();
    let warned = events.iter().filter(|e| e.contains("quic.buffer"));
    warned.cloned().collect()
}

#[tokio::test]
async fn udp_buffers_that_the_system_caps_are_warned_of() {
    // What every system grants.
    assert_eq!(logged(64 << 10).await, [""; 0]);
    let limit = std::fs::read_to_string("/proc/sys/net/core/wmem_max");
    let limit: u64 = limit.unwrap().trim().parse().unwrap();
    let wanted = 64 << 20;
    if limit >= wanted {
        eprintln!("NOT TESTED: a system that grants less than {wanted} bytes");
        return;
    }
    let warned = logged(wanted).await;
    let says = format!("sysctl -w net.core.wmem_max={wanted}");
    let sending: Vec<_> = warned.iter().filter(|e| e.contains(&says)).collect();
    assert_eq!(sending.len(), 2, "of either machine: {warned:?}");
    let grants = format!("event=\"quic.buffer\" wanted={wanted} granted={limit}");
    for event in sending {
        assert!(event.starts_with("WARN "), "{event}");
        assert!(event.contains(&grants), "{event}");
    }
}
