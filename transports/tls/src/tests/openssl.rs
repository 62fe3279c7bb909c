//! Keys go both ways between realize and the real `openssl`.

use std::path::Path;
use std::process::Command;

use super::*;

/// Runs `openssl` in `directory`; `None`, and says so, if there is no such program.
fn openssl(directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let command = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output();
    match command {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments:?}: {errors}");
            Some(output.stdout)
        }
        Err(error) => {
            eprintln!("NOT TESTED: keys of the real openssl, which cannot be run: {error}");
            None
        }
    }
}

#[test]
fn keys_that_openssl_makes_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let make = ["genpkey", "-algorithm", "ed25519", "-out", "its.key"];
    if openssl(here, &make).is_none() {
        return;
    }
    openssl(
        here,
        &["pkey", "-in", "its.key", "-pubout", "-out", "its.pub"],
    );
    let key = load_private_key(&here.join("its.key")).unwrap();
    let public = load_public_key(&here.join("its.pub")).unwrap();
    assert_eq!(key.public_key(), &public);
}

#[test]
fn keys_that_realize_makes_are_read_by_openssl() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let key = PrivateKey::generate().unwrap();
    save_private_key(&here.join("our.key"), &key).unwrap();
    let Some(public) = openssl(here, &["pkey", "-in", "our.key", "-pubout"]) else {
        return;
    };
    assert_eq!(PublicKey::from_pem(&public).unwrap(), *key.public_key());
    assert_eq!(public, key.public_key().to_pem().as_bytes());
    let again = openssl(here, &["pkey", "-in", "our.key"]).unwrap();
    assert_eq!(again, key.to_pem().as_bytes());
}

#[test]
fn other_keys_of_openssl_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let kinds = [
        (
            &[
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ][..],
            "is RSA",
        ),
        (
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ],
            "is EC",
        ),
        (&["genpkey", "-algorithm", "ed448"], "is ed448"),
        (&["genpkey", "-algorithm", "x25519"], "is X25519"),
        (
            &[
                "genpkey",
                "-algorithm",
                "ed25519",
                "-aes256",
                "-pass",
                "pass:secret",
            ],
            "found ENCRYPTED PRIVATE KEY",
        ),
    ];
    for (arguments, message) in kinds {
        let Some(pem) = openssl(here, arguments) else {
            return;
        };
        let error = PrivateKey::from_pem(&pem).unwrap_err().to_string();
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}
