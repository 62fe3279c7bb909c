//! A transport over the in-process channel that keeps to everything, or has one fault.

use std::collections::HashMap;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use realize_channel::ChannelTransport;
use realize_conformance::{Capabilities, Party, Stall, World};
use realize_core::known_peers::KnownPeers;
use realize_core::transport::{
    Connection, Endpoint, Handshake, Listener, PeerId, Transport, TransportError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::factory::Factory;
use crate::fault::{Fault, Side};
use crate::stream::{Ends, Stream};

/// From which number on connections are damaged by [`Fault::DamagesTheLater`].
const LATER: u64 = 64;

/// What all machines of a world share.
#[derive(Debug)]
pub(crate) struct Process {
    channel: ChannelTransport,
    next: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Ends>>>,
    /// Listeners that were dropped and go on.
    immortal: Mutex<Vec<Box<dyn Listener>>>,
    handshakes: Arc<Semaphore>,
    waits: Arc<AtomicBool>,
}

/// A machine that numbers its connections: the number is what it has to say in a handshake.
#[derive(Clone)]
pub(crate) struct Machine {
    identity: PeerId,
    known: KnownPeers,
    fault: Fault,
    process: Arc<Process>,
    /// The one option of its table.
    pub(crate) size: u32,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("size", &self.size).finish()
    }
}

fn peer(name: &str) -> PeerId {
    PeerId::new(format!("test:{name}")).unwrap()
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::new(text).unwrap()
}

impl Machine {
    pub(crate) fn new(name: &str, fault: Fault) -> Self {
        let process = Process {
            channel: ChannelTransport::default(),
            next: AtomicU64::new(1),
            connections: Mutex::default(),
            immortal: Mutex::default(),
            handshakes: Arc::new(Semaphore::new(1)),
            waits: Arc::default(),
        };
        Self {
            identity: peer(name),
            known: KnownPeers::default(),
            fault,
            process: Arc::new(process),
            size: 0,
        }
    }

    fn beside(&self, name: &str) -> Self {
        Self {
            identity: peer(name),
            ..self.clone()
        }
    }

    fn channel(&self) -> ChannelTransport {
        self.process.channel.as_peer(self.identity.clone())
    }

    fn party(self) -> Party {
        let identity = self.identity.clone();
        Party {
            transport: Arc::new(self),
            identity,
        }
    }
}

/// Two machines, a stranger, and clients that stall.
pub(crate) fn world(fault: Fault) -> World {
    let nas = Machine::new("nas", fault);
    let (cam, stranger) = (nas.beside("cam"), nas.beside("stranger"));
    let raw = cam.channel();
    let stall = Stall::new(move |at| {
        let raw = raw.clone();
        async move {
            let dialled = raw.dial(&at, &peer("nas")).await;
            dialled.map_err(io::Error::other)
        }
    });
    World {
        known: nas.known.clone(),
        stranger: Some(stranger.party()),
        unexpected: peer("somebody"),
        stall: Some(stall),
        ..World::new(Factory(fault), nas.party(), cam.party(), endpoint("nas:0"))
    }
}

/// Everything is claimed.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::default()
}

#[async_trait]
impl Transport for Machine {
    async fn dial(&self, at: &Endpoint, expected: &PeerId) -> Result<Connection, TransportError> {
        let there = peer("nas");
        let blind = [Fault::IgnoresExpected, Fault::SpeaksFirst];
        let asked = if blind.contains(&self.fault) {
            &there
        } else {
            expected
        };
        let dialled = self.channel().dial(at, asked).await;
        let mut connection = match dialled {
            Err(TransportError::Unreachable { endpoint, source }) => match self.fault {
                Fault::HangsWhereNobodyIs => pending().await,
                Fault::CallsNobodyAnAddress => {
                    return Err(TransportError::address(&endpoint, "nobody", source));
                }
                Fault::AnswersForNobody => {
                    Connection::new(there.clone(), "nowhere", tokio::io::empty())
                }
                _ => return Err(TransportError::Unreachable { endpoint, source }),
            },
            dialled => dialled?,
        };
        let number = self.process.next.fetch_add(1, Ordering::SeqCst);
        let ends = Arc::new(Ends::default());
        let table = &self.process.connections;
        if self.fault == Fault::ReachesNobodyAfterACut
            && table.lock().unwrap().values().any(|ends| ends.broke())
        {
            return Err(TransportError::unreachable(
                at,
                ErrorKind::NetworkDown.into(),
            ));
        }
        table.lock().unwrap().insert(number, ends.clone());
        connection.stream.write_u64(number).await?;
        if self.fault == Fault::SpeaksFirst && there != *expected {
            connection.stream.write_all(b"hello").await?;
            return connection.expect(expected);
        }
        let fault = of(self.fault, number);
        let stream =
            Stream::new(connection.stream, fault, Side::Dialler, ends).beside(&self.process.waits);
        let mut peer_there = connection.peer;
        if self.fault == Fault::Misnames(Side::Dialler) {
            peer_there = peer("somebody");
        }
        Ok(Connection::new(peer_there, at, stream))
    }

    async fn listen(&self, at: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let chosen = match at.as_str().strip_suffix(":0") {
            Some(name) => {
                let port = self.process.next.fetch_add(1, Ordering::SeqCst);
                endpoint(&format!("{name}:{port}"))
            }
            None => at.clone(),
        };
        let said = if self.fault == Fault::TellsNoPort {
            at
        } else {
            &chosen
        };
        Ok(Box::new(Accepts {
            said: said.clone(),
            inner: Some(self.channel().listen(&chosen).await?),
            machine: self.clone(),
            over: Arc::default(),
        }))
    }
}

/// The fault that the connection of that number has.
fn of(fault: Fault, number: u64) -> Fault {
    match fault {
        Fault::DamagesTheLater if number < LATER => Fault::None,
        fault => fault,
    }
}

#[derive(Debug)]
struct Accepts {
    said: Endpoint,
    inner: Option<Box<dyn Listener>>,
    machine: Machine,
    over: Arc<AtomicBool>,
}

#[async_trait]
impl Listener for Accepts {
    fn endpoint(&self) -> Endpoint {
        self.said.clone()
    }

    async fn accept(&mut self) -> Result<Handshake, TransportError> {
        let fault = self.machine.fault;
        let permit = if fault == Fault::OneHandshakeAtATime {
            let permit = self.machine.process.handshakes.clone().acquire_owned();
            Some(permit.await.unwrap())
        } else {
            None
        };
        let accepted = self.inner.as_mut().unwrap().accept().await?;
        if fault == Fault::LosesTheCancelled {
            tokio::task::yield_now().await;
        }
        let (machine, over) = (self.machine.clone(), self.over.clone());
        let handshake = async move {
            let _permit = permit;
            machine.prove(accepted.await?, over).await
        };
        if fault == Fault::ShakesHandsWhileAccepting {
            let done = handshake.await;
            return Ok(Box::pin(async { done }));
        }
        Ok(Box::pin(handshake))
    }
}

impl Drop for Accepts {
    fn drop(&mut self) {
        let process = &self.machine.process;
        match self.machine.fault {
            Fault::KeepsItsAddress => process.immortal.lock().unwrap().extend(self.inner.take()),
            Fault::CutsWithItsListener => self.over.store(true, Ordering::SeqCst),
            _ => {}
        }
    }
}

impl Machine {
    /// Has the one who dialled say a number, and looks whether they are known.
    async fn prove(
        &self,
        mut raw: Connection,
        over: Arc<AtomicBool>,
    ) -> Result<Connection, TransportError> {
        let number = raw.stream.read_u64().await?;
        let ends = self
            .process
            .connections
            .lock()
            .unwrap()
            .get(&number)
            .cloned();
        let ends = ends
            .ok_or(ErrorKind::InvalidData)
            .map_err(io::Error::from)?;
        if self.fault == Fault::SpeaksToStrangers {
            raw.stream.write_all(b"who?").await?;
        }
        let raw = match self.fault {
            Fault::LetsStrangersIn => raw,
            _ => self.known.admit(raw)?,
        };
        let mut peer_there = raw.peer;
        if self.fault == Fault::Misnames(Side::Listener) {
            peer_there = peer("somebody");
        }
        let fault = of(self.fault, number);
        let stream = Stream::new(raw.stream, fault, Side::Listener, ends)
            .until(over)
            .beside(&self.process.waits);
        Ok(Connection::new(peer_there, raw.address, stream))
    }
}
