//! A machine beside the cam, with a key of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use super::machines::Machines;
use crate::program::{Program, realize};

/// The third machine; it lives beside the two others, and its name at the nas is `lab`.
pub(crate) struct Another {
    directory: PathBuf,
    /// Its public key.
    pub(crate) key: String,
}

impl Another {
    /// Its key and its directory; it knows the nas at `address`.
    pub(crate) fn beside(machines: &Machines, address: &str) -> Self {
        let directory = machines.path("lab");
        fs::create_dir(&directory).unwrap();
        let made = realize(["keygen"])
            .with([directory.join("key.pem")])
            .run()
            .expect(0);
        let nas = machines.nas_key();
        let text = format!(
            "[identity]\nkey = \"key.pem\"\n[peers.nas]\nkey = \"{nas}\"\naddress = \"{address}\"\n\
             [move]\nretry_delay = \"100ms\"\n"
        );
        fs::write(directory.join("realize.toml"), text).unwrap();
        Self {
            directory,
            key: made.stdout_text().trim().to_owned(),
        }
    }

    /// What the nas has to know of it.
    pub(crate) fn section(&self) -> String {
        format!("[peers.lab]\nkey = \"{}\"\n", self.key)
    }

    /// `realize` there.
    pub(crate) fn program<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(
        &self,
        arguments: I,
    ) -> Program {
        let config = self.directory.join("realize.toml");
        realize(arguments).globally(["--config".as_ref(), config.as_os_str()])
    }
}

/// What the nas has to know of the cam.
pub(crate) fn cam_section(machines: &Machines) -> String {
    format!("[peers.cam]\nkey = \"{}\"\n", machines.cam_key())
}
