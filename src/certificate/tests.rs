use std::path::Path;

use sceau_verifier::{ChainRef, Receipt, receipt};
use time::macros::datetime;

use super::*;

/// A receipt of the test vectors.
fn vector(name: &str) -> Receipt {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    receipt::parse(value["receipt"].as_str().unwrap().as_bytes()).unwrap()
}

const LONG: &str = "Procès-verbal de l’assemblée générale extraordinaire du 3 novembre 2026 — annexe n° 7 (état descriptif de division et règlement de copropriété modifiés), version définitive signée par l’ensemble des copropriétaires présents ou représentés - copie.final.v2.pdf";

/// `receipt` on these chains, the first `finals` of them final.
fn on(receipt: &Receipt, ids: &[u64], finals: usize) -> Receipt {
    let mut receipt = receipt.clone();
    let anchor = receipt.anchors[0].clone();
    let anchors = ids.iter().enumerate().map(|(at, id)| Anchor {
        chain: ChainRef::new(*id).unwrap(),
        block_number: 23_456_789 + at as u64,
        block_time: anchor.block_time + 12 * at as u64,
        evidence: anchor.evidence.clone().filter(|_| at < finals),
        ..anchor.clone()
    });
    receipt.anchors = anchors.collect();
    receipt
}

fn base<'a>(receipt: &'a Receipt, stage: Stage<'a>, language: Language) -> Certificate<'a> {
    Certificate {
        language,
        digest: &receipt.document.digest,
        file_name: Some("Contrat de prêt n° 2026-117 — état définitif.pdf"),
        reference: Some("Dossier 2026/4411"),
        owner: "Étude Martin & Associés, notaires à Lyon",
        received_at: datetime!(2026-11-22 05:59:31.25 UTC),
        anchor_by: datetime!(2026-11-22 06:30:00 UTC),
        stage,
        chains: &[1],
        decisions: &[],
        verify_url: "https://sceau.example/check/41#0000000000000000000000000000000000000000000000000000000000000000",
        as_of: datetime!(2026-11-22 06:20:00 UTC),
    }
}

/// Every stage in both languages.
fn samples() -> Vec<(String, Vec<u8>)> {
    let receipt = vector("valid-plain.json");
    let mut made = Vec::new();
    let final_one = on(&receipt, &[1], 1);
    let many = on(&receipt, &[1, 137, 8453, 424_242, 11_155_111], 2);
    let test = on(&receipt, &[31_337], 1);
    let anchored = on(&receipt, &[1], 0);
    let sealed = on(&receipt, &[], 0);
    let decisions = [
        Decision {
            validator: "Maître Élodie Lefèvre-Nguyen",
            approved: true,
            comment: Some("Conforme à la minute, contrôlé page par page."),
            at: datetime!(2026-11-22 06:12:00 UTC),
        },
        Decision { validator: "Ștefan Ångström", approved: true, comment: None, at: datetime!(2026-11-22 06:15:09 UTC) },
    ];
    let against = [
        decisions[1],
        Decision {
            approved: false,
            comment: Some("La page 4 n’est pas signée ; à représenter complète."),
            at: datetime!(2026-11-22 06:18:41 UTC),
            ..decisions[0]
        },
    ];
    for language in Language::ALL {
        let base = base(&receipt, Stage::Sealed(&final_one), language);
        let mut add = |name: &str, certificate: Certificate<'_>| {
            made.push((format!("{}-{name}", language.tag()), render(&certificate).unwrap()));
        };
        add("final", base);
        add("many", Certificate { stage: Stage::Sealed(&many), file_name: Some(LONG), decisions: &decisions, ..base });
        add("test", Certificate { stage: Stage::Sealed(&test), chains: &[31_337], decisions: &decisions, ..base });
        add("anchored", Certificate { stage: Stage::Sealed(&anchored), reference: None, ..base });
        add(
            "sealed",
            Certificate {
                stage: Stage::Sealed(&sealed),
                chains: &[11_155_111],
                file_name: Some("facture\u{202e}fdp.exe 契約.pdf"),
                ..base
            },
        );
        add("pending", Certificate { stage: Stage::Pending(42), file_name: None, ..base });
        add("awaiting", Certificate { stage: Stage::AwaitingValidation(2), decisions: &decisions[1..], ..base });
        add("refused", Certificate { stage: Stage::Refused, decisions: &against, ..base });
    }
    made
}

#[test]
fn samples_are_written_to_be_looked_at() {
    let samples = samples();
    assert_eq!(samples, self::samples(), "the same in, the same out");
    if let Some(folder) = std::env::var_os("SCEAU_CERTIFICATES") {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, pdf) in samples {
            std::fs::write(Path::new(&folder).join(name).with_extension("pdf"), pdf).unwrap();
        }
    }
}

#[test]
fn a_test_network_counts_only_where_there_is_no_other() {
    let receipt = vector("valid-plain.json");
    for (ids, finals, is_final, is_test, proven_on) in [
        (&[1][..], 1, true, false, Some(1)),
        (&[1], 0, false, false, None),
        (&[11_155_111], 1, true, true, Some(11_155_111)),
        (&[11_155_111, 1], 1, false, false, None),
        (&[11_155_111, 1], 2, true, false, Some(1)),
        (&[137, 1], 2, true, false, Some(137)),
        (&[31_337, 17_000], 2, true, true, Some(31_337)),
        (&[987_654_321], 1, true, false, Some(987_654_321)),
    ] {
        let receipt = on(&receipt, ids, finals);
        let certificate = base(&receipt, Stage::Sealed(&receipt), Language::French);
        let proven = certificate.proof().map(|anchor| anchor.chain.id());
        assert_eq!((certificate.is_final(), certificate.is_test(), proven), (is_final, is_test, proven_on), "{ids:?} {finals}");
    }
    // Before there is an anchor, where it is to be anchored decides.
    for (chains, is_test) in [(&[31_337][..], true), (&[], false), (&[1, 31_337], false), (&[17_000, 560_048], true)] {
        let certificate = Certificate { chains, ..base(&receipt, Stage::Pending(1), Language::French) };
        assert_eq!((certificate.is_final(), certificate.is_test()), (false, is_test), "{chains:?}");
    }
}

#[test]
fn only_what_is_final_is_called_a_certificate_and_files_are_named_after_it() {
    let receipt = vector("valid-plain.json");
    let finished = on(&receipt, &[1], 1);
    let done = base(&finished, Stage::Sealed(&finished), Language::French);
    assert_eq!(done.file_name(), "certificat-Contrat de prêt n° 2026-117 — état définitif.pdf.pdf");
    let unnamed = Certificate { file_name: Some(" . "), language: Language::English, ..done };
    assert_eq!(unnamed.file_name(), format!("certificate-{}.pdf", &receipt.document.digest.to_string()[..16]));
    let early = Certificate { stage: Stage::Pending(1), ..done };
    assert!(early.file_name().starts_with("attestation-provisoire-"));
}

#[test]
fn a_header_that_is_none_gives_no_certificate() {
    let mut receipt = vector("valid-plain.json");
    receipt.batch.header.push(' ');
    let certificate = base(&receipt, Stage::Sealed(&receipt), Language::French);
    assert!(render(&certificate).is_err());
    let url = "x".repeat(3000);
    let receipt = vector("valid-plain.json");
    let certificate = Certificate { verify_url: &url, ..base(&receipt, Stage::Sealed(&receipt), Language::French) };
    assert_eq!(render(&certificate).unwrap_err().to_string(), "certificate: the QR code is too long");
}
