//! A move to a peer's directory, or from it.

use std::path::PathBuf;

use super::machines::{Daemon, EVERYTHING, Machines};
use crate::program::Program;

/// Which end the peer is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    There,
    Back,
}

/// Two machines, and the ends of what goes one way between them.
pub(super) struct Ends {
    pub(super) machines: Machines,
    _daemon: Daemon,
    way: Way,
    pub(super) source: PathBuf,
    pub(super) destination: PathBuf,
}

impl Ends {
    pub(super) fn new(way: Way) -> Self {
        let machines = Machines::new();
        let daemon = machines.start(EVERYTHING);
        let (here, there) = (machines.source(), machines.inbox());
        let (source, destination) = match way {
            Way::There => (here, there),
            Way::Back => (there, here),
        };
        Self {
            machines,
            _daemon: daemon,
            way,
            source,
            destination,
        }
    }

    pub(super) fn program(&self, command: &str) -> Program {
        let line = match self.way {
            Way::There => [command, "../source", "nas:inbox"],
            Way::Back => [command, "nas:inbox", "../source"],
        };
        let home = self.machines.path("cam");
        self.machines.cam(line).in_directory(&home)
    }
}
