//! A transport of realize: any program that carries bytes on its standard input and output.
//!
//! Whoever dials starts the program, such as `ssh nas`; at the other end something starts
//! `realized --stdio --peer NAME`, such as the forced command of a key. Who is there is what the
//! configuration of each side says of it: the program has to see to that, as ssh does with its
//! keys. There is nothing to listen at.
//!
//! [`ExecFactory`] makes an [`ExecTransport`] of the table `[transports.exec]`; [`stdio`] is the
//! connection of a program that was started in this way.

mod config;
mod process;
mod stderr;
mod transport;

pub use config::{Command, ExecFactory, ExecOptions, MAX_ARGUMENTS};
pub use transport::{ExecTransport, stdio};
