//! The audit: JSON there and back, page and table.

use oculist_report::{
    AUDIT_SCHEMA_VERSION, AuditIssue, AuditKind, AuditPartner, AuditReport, Png, render_audit_html,
};

/// One issue with a picture and hostile names, one file, and a kind without issues.
fn sample() -> AuditReport {
    let kind = |name: &str, count| AuditKind {
        kind: name.into(),
        count,
        advice: "Look at it.".into(),
        ..AuditKind::default()
    };
    let png = Some(Png(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c".to_vec()));
    AuditReport {
        schema_version: AUDIT_SCHEMA_VERSION,
        data: "<b>photos</b>".into(),
        images: 1234,
        splits: vec![("train".into(), 1200), ("test".into(), 34)],
        classes: vec!["cat & dog".into(), "bird".into()],
        train_per_class: vec![1000, 200],
        kinds: vec![kind("unreadable", 1), kind("near-duplicates", 1), kind("dark", 0)],
        issues: vec![
            AuditIssue {
                kind: "unreadable".into(),
                image: "a/b/broken.png".into(),
                score: 1.0,
                detail: "the file is empty".into(),
                ..AuditIssue::default()
            },
            AuditIssue {
                kind: "near-duplicates".into(),
                image: "a/b/<script>.png".into(),
                split: "train".into(),
                class: "cat & dog".into(),
                score: 0.9971,
                partner: Some(AuditPartner {
                    image: "a/c/first.png".into(),
                    split: "train".into(),
                    class: "bird".into(),
                    png: png.clone(),
                }),
                png,
                ..AuditIssue::default()
            },
        ],
        ..AuditReport::default()
    }
}

#[test]
fn json_has_everything_but_pictures() {
    let report = sample();
    let text = report.to_json().unwrap();
    let mut bare = report;
    for issue in &mut bare.issues {
        issue.png = None;
        issue.partner.iter_mut().for_each(|p| p.png = None);
    }
    assert_eq!(AuditReport::from_json(&text).unwrap(), bare);
    let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    assert!(AuditReport::from_json(&newer).unwrap_err().to_string().contains("schema_version 2"));
    assert!(AuditReport::from_json("{}").is_err() && AuditReport::from_json("[").is_err());
}

#[test]
fn the_page_shows_and_escapes() {
    let page = render_audit_html(&sample()).unwrap();
    for part in [
        "id=\"unreadable\"",
        "id=\"near-duplicates\"",
        "0.997",
        "first.png",
        "Looked for and not found: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("data:image/png;base64,").count(), 2);
    assert!(
        page.contains("&lt;script&gt;.png")
            && page.matches("<script>").count() == 1
            && !page.contains("<b>photos")
    );
    assert!(!page.contains("id=\"dark\""), "no section without issues");
}

#[test]
fn the_table_names_the_worst() {
    let table = sample().table();
    assert!(table.contains("1,234 images (1,200 train, 34 test), 2 classes"), "{table}");
    assert!(table.contains("b/broken.png: the file is empty"), "{table}");
    assert!(table.contains("a/b/<script>.png = a/c/first.png (train)") && !table.contains("dark"), "{table}");
    let clean = AuditReport { kinds: Vec::new(), issues: Vec::new(), ..sample() };
    assert!(clean.table().ends_with("no issues found\n"));
}
