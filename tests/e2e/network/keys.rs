//! The keys of two machines: made here, or by openssl.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use realize_test_kit::odd_tree::{set_mode, snapshot};
use rstest::rstest;

use super::machines::{EVERYTHING, Machines, assert_moved, assert_seen, seen, write};
use crate::program::{realize, realized};

#[test]
fn keygen_makes_a_key_for_its_owner_alone_and_prints_what_others_need() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nas.key");

    let outcome = realize(["keygen"]).with([&file]).run().expect(0);

    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "{outcome}");
    let printed = outcome.stdout_text();
    assert_eq!(printed.lines().count(), 1, "{outcome}");
    assert!(printed.starts_with("ed25519:"), "{outcome}");
    let private = fs::read_to_string(&file).unwrap();
    assert!(private.contains("PRIVATE KEY"), "{outcome}");
    assert!(!private.contains(printed.trim()), "{outcome}");
}

#[rstest]
#[case::a_key(false)]
#[case::a_dangling_link(true)]
fn keygen_overwrites_nothing(#[case] link: bool) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nas.key");
    if link {
        std::os::unix::fs::symlink("elsewhere", &file).unwrap();
    } else {
        realize(["keygen"]).with([&file]).run().expect(0);
    }
    let before = snapshot(directory.path()).unwrap();

    let outcome = realize(["keygen"]).with([&file]).run().expect(1);

    assert_eq!(outcome.stdout_text(), "", "{outcome}");
    crate::ends::assert_same(&before, directory.path(), &outcome);
    outcome.says(&["nas.key", "exists already"]);
}

#[test]
fn keygen_makes_the_key_that_the_configuration_names() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("realize.toml");
    fs::write(&config, "[identity]\nkey = \"secret/cam.key\"\n").unwrap();
    fs::create_dir(directory.path().join("secret")).unwrap();
    let run = || realize(["--config".as_ref(), config.as_os_str(), "keygen".as_ref()]).run();

    let outcome = run().expect(0);
    assert!(
        directory.path().join("secret/cam.key").is_file(),
        "{outcome}"
    );
    run().expect(1);
    realize(["keygen"])
        .run()
        .expect(2)
        .says(&["FILE", "[identity]"]);
}

/// Both machines have keys of openssl, and know each other by its files.
#[test]
fn keys_of_openssl_let_two_machines_know_each_other() {
    let machines = Machines::new();
    for name in ["nas", "cam"] {
        let home = machines.path(name);
        fs::remove_file(home.join("key.pem")).unwrap();
        let make = ["genpkey", "-algorithm", "ed25519", "-out", "key.pem"];
        if !openssl(&home, &make) {
            return;
        }
        set_mode(&home.join("key.pem"), 0o600).unwrap();
        let public = ["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"];
        assert!(openssl(&home, &public));
    }
    let allow = "cam = [\"list\", \"read\", \"write\", \"replace\", \"delete\"]";
    let cam = "[peers.cam]\nkey_file = \"../cam/key.pub\"\n";
    machines.write_nas("127.0.0.1:0", allow, cam);
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, "");
    let file = machines.path("cam/realize.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("key = \"\"", "key_file = \"../nas/key.pub\""),
    )
    .unwrap();
    write(&machines.source(), "file", b"content");
    let before = snapshot(&machines.source()).unwrap();

    let outcome = machines.cam(["move"]).run().expect(0);
    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
    let outcome = machines
        .cam(["move", "nas:inbox"])
        .with([machines.source()]);
    let outcome = outcome.run().expect(0);
    assert_moved(&before, &machines.inbox(), &machines.source(), &outcome);
    machines.cam(["check"]).run().expect(0);
}

#[rstest]
#[case::readable_by_the_group(0o640)]
#[case::readable_by_all(0o604)]
#[case::writable_by_the_group(0o620)]
fn a_key_that_others_can_use_is_refused(#[case] mode: u32) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    write(&machines.source(), "file", b"content");
    let before = seen(&machines.source());
    let chmod = format!("{mode:04o}");

    set_mode(&machines.path("cam/key.pem"), mode).unwrap();
    for line in [&["move"][..], &["check"], &["list", "nas:inbox"]] {
        let outcome = machines.cam(line).run().expect(3);
        assert_seen(&before, &machines.source(), &outcome);
        let said = format!("{}{}", outcome.stdout_text(), outcome.stderr_text());
        for part in ["cam/key.pem", &chmod, "chmod 600"] {
            assert!(said.contains(part), "{part}: {outcome}");
        }
    }
    daemon.stop().expect(0);

    set_mode(&machines.path("nas/key.pem"), mode).unwrap();
    let nas = machines.nas_config();
    let outcome = realized(["--config".as_ref(), nas.as_os_str()])
        .run()
        .expect(3);
    outcome.says(&["nas/key.pem", &chmod, "chmod 600"]);
}

/// Runs openssl in `directory`; says so if there is none.
fn openssl(directory: &Path, arguments: &[&str]) -> bool {
    match Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
    {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments:?}: {errors}");
            true
        }
        Err(error) => {
            eprintln!("NOT TESTED: keys of the real openssl, which cannot be run: {error}");
            false
        }
    }
}
