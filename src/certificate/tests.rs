use std::path::Path;

use sceau_verifier::{Receipt, receipt};
use time::macros::datetime;

use super::*;

/// A receipt of the test vectors.
fn vector(name: &str) -> Receipt {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    receipt::parse(value["receipt"].as_str().unwrap().as_bytes()).unwrap()
}

const LONG: &str = "Procès-verbal de l’assemblée générale extraordinaire du 3 novembre 2026 — annexe n° 7 (état descriptif de division et règlement de copropriété modifiés), version définitive signée par l’ensemble des copropriétaires présents ou représentés - copie.final.v2.pdf";

fn samples() -> Vec<(String, Vec<u8>)> {
    let mut receipt = vector("valid-plain.json");
    receipt.anchors.truncate(1);
    let mut made = Vec::new();
    let chain = |id: u64| sceau_verifier::ChainRef::new(id).unwrap();
    let on = |receipt: &Receipt, ids: &[u64], finals: usize| {
        let mut receipt = receipt.clone();
        let anchor = receipt.anchors[0].clone();
        receipt.anchors = ids
            .iter()
            .enumerate()
            .map(|(at, id)| {
                let mut anchor = anchor.clone();
                anchor.chain = chain(*id);
                anchor.block_number = 23_456_789 + at as u64;
                if at >= finals {
                    anchor.evidence = None;
                }
                anchor
            })
            .collect();
        receipt
    };
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
    for language in Language::ALL {
        let base = Certificate {
            language,
            digest: &receipt.document.digest,
            file_name: Some("Contrat de prêt n° 2026-117 — état définitif.pdf"),
            reference: Some("Dossier 2026/4411"),
            owner: "Étude Martin & Associés, notaires à Lyon",
            received_at: datetime!(2026-11-22 05:59:31.25 UTC),
            anchor_by: datetime!(2026-11-22 06:30:00 UTC),
            stage: Stage::Sealed(&final_one),
            chains: &[1],
            decisions: &[],
            verify_url: "https://sceau.example/check/41#0000000000000000000000000000000000000000000000000000000000000000",
            as_of: datetime!(2026-11-22 06:20:00 UTC),
        };
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
        add("awaiting", Certificate { stage: Stage::AwaitingValidation, ..base });
        add("refused", Certificate { stage: Stage::Refused, decisions: &decisions[..1], ..base });
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
