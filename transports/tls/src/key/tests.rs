use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// What `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` wrote.
const OPENSSL_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEWvMgUsKs4ui3rOZRhtSHePcb2BouBl+UkBJqynIe5g
-----END PRIVATE KEY-----
";
const OPENSSL_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAIOyfze+3eFu2pR7Usv+emxfIKQNXTD1qea+lXpzXt2Y=
-----END PUBLIC KEY-----
";
const RSA_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQClIYllqugyLVvtfWL4ZA0IE8Sk
y34i77wO3yFtLkLK41xOc/sx4f4u1XomTa4GRDlQskX7hJJPH5RdMAo7DNN4T1nJ
NDABNqOd/0VCfZpm0iyK0wXpfg2rOrTu+jWhBvGSLKcaNn/W1NT8HjAqSBMJN4AT
FDMspEUEqm2mUj0i2QIDAQAB
-----END PUBLIC KEY-----
";
const EC_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjtQqLgInhL4VUH28
eqLJFNwYfGBxcr49RVOGP+jrW3GhRANCAATbBYPv0dZnioztx8d/BYCdoy+ZWEXe
PupXSedtM7O/kv6BKgRhrAFjg+wC4bLd1PzbbLzjX9NPTAEc329Swnjx
-----END PRIVATE KEY-----
";

fn private(pem: &str) -> String {
    PrivateKey::from_pem(pem.as_bytes())
        .unwrap_err()
        .to_string()
}

fn section(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

#[test]
fn keys_of_openssl_are_read_and_written_alike() {
    let key = PrivateKey::from_pem(OPENSSL_PRIVATE.as_bytes()).unwrap();
    let public = PublicKey::from_pem(OPENSSL_PUBLIC.as_bytes()).unwrap();
    assert_eq!(key.public_key(), &public);
    assert_eq!(key.to_pem().as_str(), OPENSSL_PRIVATE);
    assert_eq!(public.to_pem(), OPENSSL_PUBLIC);
}

#[test]
fn a_file_may_have_text_around_the_key_and_other_line_ends() {
    let pem = format!("of the camera\n{OPENSSL_PRIVATE}\n").replace('\n', "\r\n");
    assert!(PrivateKey::from_pem(pem.as_bytes()).is_ok());
}

#[test]
fn generated_keys_differ_and_survive_their_file() {
    let (a, b) = (
        PrivateKey::generate().unwrap(),
        PrivateKey::generate().unwrap(),
    );
    assert_ne!(a.public_key(), b.public_key());
    let again = PrivateKey::from_pem(a.to_pem().as_bytes()).unwrap();
    assert_eq!(again.public_key(), a.public_key());
    assert_eq!(again.to_pem(), a.to_pem());
}

#[test]
fn a_private_key_shows_nothing_secret() {
    let key = PrivateKey::generate().unwrap();
    let shown = format!("{key:?} {key:#?} {:?}", key.signing_key().unwrap());
    assert!(shown.contains(&key.public_key().to_string()));
    let seed = key.seed.as_slice();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let pem = key.to_pem();
    let secrets = [
        hex,
        format!("{seed:?}"),
        STANDARD.encode(seed),
        pem[28..92].to_owned(),
    ];
    for secret in secrets {
        assert!(!shown.contains(&secret), "{shown} shows {secret}");
    }
}

#[test]
fn errors_show_nothing_of_a_damaged_private_key() {
    let base64 = OPENSSL_PRIVATE.lines().nth(1).unwrap();
    for cut in 0..OPENSSL_PRIVATE.len() - 2 {
        let error = PrivateKey::from_pem(&OPENSSL_PRIVATE.as_bytes()[..cut]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&base64[24..32]), "{shown}");
    }
    for (at, _) in OPENSSL_PRIVATE.match_indices(|c: char| c.is_ascii_alphanumeric()) {
        let mut pem = OPENSSL_PRIVATE.as_bytes().to_vec();
        pem[at] = b'!';
        let error = PrivateKey::from_pem(&pem).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains(&base64[24..32]),
            "{at}: {error:?}"
        );
    }
}

#[rstest]
#[case::empty("", "expected a PEM file with -----BEGIN PRIVATE KEY-----")]
#[case::no_pem(
    "no key at all",
    "expected a PEM file with -----BEGIN PRIVATE KEY-----"
)]
#[case::public(
    OPENSSL_PUBLIC,
    "expected a PEM file with -----BEGIN PRIVATE KEY-----, found PUBLIC KEY"
)]
#[case::encrypted(&section("ENCRYPTED PRIVATE KEY", "AAAA"), "found ENCRYPTED PRIVATE KEY")]
#[case::ssh(&section("OPENSSH PRIVATE KEY", "AAAA"), "found OPENSSH PRIVATE KEY")]
#[case::sec1(&section("EC PRIVATE KEY", "AAAA"), "found EC PRIVATE KEY")]
#[case::hostile(&section("\u{1b}[2J KEY", "AAAA"), "found something unheard of")]
#[case::several(&[OPENSSL_PRIVATE, OPENSSL_PRIVATE].concat(), "found several")]
#[case::mixed(&[OPENSSL_PRIVATE, OPENSSL_PUBLIC].concat(), "found PUBLIC KEY")]
#[case::no_end("-----BEGIN PRIVATE KEY-----\nAAAA\n", "its END line is missing")]
#[case::base64(&section("PRIVATE KEY", "A!AA"), "its base64 is broken")]
#[case::begin("-----BEGIN PRIVATE KEY\nAAAA\n", "its BEGIN line is broken")]
#[case::ec(EC_PRIVATE, "found one whose algorithm is EC")]
#[case::short(&section("PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEIAAA"), "in the 48 bytes that OpenSSL writes, found 18 bytes")]
#[case::nothing(&section("PRIVATE KEY", ""), "found 0 bytes")]
fn bad_private_keys_are_refused(#[case] pem: &str, #[case] message: &str) {
    let error = private(pem);
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_key_of_version_2_is_refused() {
    let key = PrivateKey::generate().unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(key.seed.as_slice()).unwrap();
    let v2 = pair.to_pkcs8().unwrap();
    let error = private(&section("PRIVATE KEY", &STANDARD.encode(v2.as_ref())));
    assert!(
        error.contains("expected an ed25519 key in the 48 bytes"),
        "{error}"
    );
}

#[test]
fn bad_public_keys_are_refused() {
    let error = |pem: &str| PublicKey::from_pem(pem.as_bytes()).unwrap_err();
    assert_eq!(error(RSA_PUBLIC), KeyError::Algorithm { found: "RSA" });
    assert!(
        matches!(error(OPENSSL_PRIVATE), KeyError::Section { found, .. } if found == "PRIVATE KEY")
    );
    assert_eq!(
        error(""),
        KeyError::NoSection {
            expected: "PUBLIC KEY"
        }
    );
    let spki = PrivateKey::generate().unwrap().public_key().to_spki();
    assert!(PublicKey::from_spki(&spki).is_ok());
    for cut in 0..spki.len() {
        assert!(PublicKey::from_spki(&spki[..cut]).is_err());
    }
    assert!(PublicKey::from_spki(&[spki.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn the_text_of_a_key_is_that_of_its_peer() {
    let key = *PrivateKey::generate().unwrap().public_key();
    let text = key.to_string();
    assert_eq!(
        (
            text.len(),
            text.starts_with("ed25519:"),
            text.ends_with('=')
        ),
        (52, true, true)
    );
    assert_eq!(text.parse(), Ok(key));
    let peer = key.peer_id().unwrap();
    assert_eq!(peer.as_str(), text);
    assert_eq!(PublicKey::try_from(&peer), Ok(key));
    assert!(PublicKey::try_from(&PeerId::local()).is_err());
    assert_eq!(format!("{key:?}"), format!("PublicKey({text})"));
}

#[rstest]
#[case::empty("", "found no ed25519:")]
#[case::bare("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "found no ed25519:")]
#[case::case(
    "Ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "found no ed25519:"
)]
#[case::space(
    "ed25519: 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "found no base64"
)]
#[case::newline(
    "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n",
    "found no base64"
)]
#[case::unpadded(
    "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "found no base64"
)]
#[case::url_safe(
    "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "found no base64"
)]
#[case::loose_bits(
    "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=",
    "found no base64"
)]
#[case::short("ed25519:AAAA", "found another length")]
#[case::nothing("ed25519:", "found another length")]
#[case::zeros(
    "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "proves nothing"
)]
fn bad_texts_are_refused(#[case] text: &str, #[case] message: &str) {
    let error = text.parse::<PublicKey>().unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn worthless_keys_are_refused_with_either_sign() {
    for mut bytes in SMALL_ORDER {
        assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::Worthless));
        bytes[31] |= 0x80;
        assert_eq!(PublicKey::from_bytes(bytes), Err(KeyError::Worthless));
    }
}

proptest! {
    #[test]
    fn parsers_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = PrivateKey::from_pem(&bytes);
        let _ = PublicKey::from_pem(&bytes);
        let _ = PublicKey::from_spki(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<PublicKey>();
        let base64 = STANDARD.encode(&bytes);
        prop_assert!(PrivateKey::from_pem(section("PRIVATE KEY", &base64).as_bytes()).is_err());
        prop_assert!(PublicKey::from_pem(section("PUBLIC KEY", &base64).as_bytes()).is_err());
    }

    #[test]
    fn der_that_is_nearly_right_does_not_panic(
        at in 0_usize..48, byte in any::<u8>(), cut in 0_usize..=48,
    ) {
        let mut der = *PrivateKey::from_pem(OPENSSL_PRIVATE.as_bytes()).unwrap().to_der();
        der[at] = byte;
        let _ = Half::Private.read_der(&der[..cut]);
        let _ = Half::Public.read_der(&der[..cut]);
        let text = section("PRIVATE KEY", &STANDARD.encode(&der[..cut]));
        let _ = PrivateKey::from_pem(text.as_bytes());
    }

    #[test]
    fn pem_that_is_nearly_right_does_not_panic(
        at in 0_usize..119, byte in any::<u8>(), lines in "(-----(BEGIN|END) [A-Z -]{0,20}\n?){0,5}",
    ) {
        let mut pem = OPENSSL_PRIVATE.as_bytes().to_vec();
        pem[at] = byte;
        let _ = PrivateKey::from_pem(&pem);
        let _ = PrivateKey::from_pem(lines.as_bytes());
    }

    #[test]
    fn every_key_has_one_text(bytes in any::<[u8; 32]>()) {
        let key = PublicKey::from_bytes(bytes).unwrap();
        prop_assert_eq!(key.to_string().parse(), Ok(key));
        prop_assert_eq!(PublicKey::from_pem(key.to_pem().as_bytes()), Ok(key));
        prop_assert_eq!(PublicKey::from_spki(&key.to_spki()), Ok(key));
    }
}

#[test]
fn a_derived_secret_is_the_key_s_and_the_purpose_s() {
    let (one, other) = (
        PrivateKey::generate().unwrap(),
        PrivateKey::generate().unwrap(),
    );
    let again = PrivateKey::from_pem(one.to_pem().as_bytes()).unwrap();
    assert_eq!(one.derive("a"), again.derive("a"));
    assert_ne!(one.derive("a"), one.derive("b"));
    assert_ne!(one.derive("a"), other.derive("a"));
}
