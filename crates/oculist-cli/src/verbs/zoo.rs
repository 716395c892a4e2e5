//! `zoo list` and `zoo show`.

use std::fmt::Write as _;

use oculist_report::{Align, Table};
use serde::Serialize;

use super::{print, print_as_is};

/// One architecture in JSON.
#[derive(Debug, Serialize)]
struct Entry {
    name: &'static str,
    description: &'static str,
    year: u16,
    input: (usize, usize, usize),
    classes: usize,
    params: u64,
    macs: u64,
    paper: &'static str,
    weights: Vec<Weights>,
}

/// Where weights can be had.
#[derive(Debug, Serialize)]
struct Weights {
    from: &'static str,
    name: &'static str,
}

impl Entry {
    fn of(a: &oculist::ArchitectureInfo) -> Self {
        Self {
            name: a.name,
            description: a.description,
            year: a.year,
            input: a.native_input,
            classes: a.native_classes,
            params: a.params,
            macs: a.macs,
            paper: a.paper,
            weights: oculist::sources(a.name).map(|s| Weights { from: s.from, name: s.name }).collect(),
        }
    }

    /// What can be given as a model, else the first, and how many more there are.
    fn pretrained(&self) -> String {
        let direct = self.weights.iter().find(|w| w.name.starts_with("hf:"));
        let Some(first) = direct.or(self.weights.first()) else { return "-".into() };
        let name = if first.name.starts_with("hf:") {
            first.name.to_owned()
        } else {
            format!("{}: {}", first.from, first.name)
        };
        match self.weights.len() - 1 {
            0 => name,
            more => format!("{name} +{more}"),
        }
    }
}

pub(crate) fn list(json: bool) -> anyhow::Result<()> {
    let entries: Vec<Entry> = oculist::architectures().iter().map(Entry::of).collect();
    if json {
        return print_as_is(&serde_json::to_string_pretty(&entries)?);
    }
    let right = Align::Right;
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("year", right),
        ("input", right),
        ("params", right),
        ("MACs", right),
        ("weights", Align::Left),
        ("what", Align::Left),
    ]);
    for e in &entries {
        table.row([
            e.name.to_owned(),
            e.year.to_string(),
            format!("{}x{}x{}", e.input.0, e.input.1, e.input.2),
            format!("{:.2} M", e.params as f64 / 1e6),
            format!("{:.0} M", e.macs as f64 / 1e6),
            e.pretrained(),
            e.description.to_owned(),
        ]);
    }
    print(&table.to_string())
}

/// An architecture with its layers in JSON.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    entry: Entry,
    layers: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    operator: &'static str,
    output: String,
    params: u64,
    macs: u64,
}

pub(crate) fn show(
    name: &str,
    image_size: Option<usize>,
    classes: Option<usize>,
    json: bool,
) -> anyhow::Result<()> {
    /// Classes that a network is shown with at the most.
    const MOST: usize = 100_000;
    let info = oculist::architecture(name)?;
    if let Some(classes) = classes.filter(|classes| !(1..=MOST).contains(classes)) {
        anyhow::bail!("--classes: expected 1 to {MOST}, found {classes}");
    }
    let (channels, height, width) = info.native_input;
    let (height, width) = image_size.map_or((height, width), |side| (side, side));
    let layers = oculist::layers(info, (channels, height, width), classes.unwrap_or(info.native_classes))?;
    let mut entry = Entry::of(info);
    entry.input = (channels, height, width);
    entry.classes = classes.unwrap_or(info.native_classes);
    entry.params = layers.iter().map(|l| l.params).sum();
    entry.macs = layers.iter().map(|l| l.macs).sum();
    let rows = layers.into_iter().map(|l| Row {
        name: l.name,
        operator: l.operator,
        output: l.output,
        params: l.params,
        macs: l.macs,
    });
    let shown = Shown { entry, layers: rows.collect() };
    if json {
        return print_as_is(&serde_json::to_string_pretty(&shown)?);
    }
    let e = &shown.entry;
    let right = Align::Right;
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("operator", Align::Left),
        ("output", Align::Left),
        ("params", right),
        ("MACs", right),
    ]);
    for l in &shown.layers {
        let [params, macs] = [l.params, l.macs].map(|n| if n == 0 { String::new() } else { n.to_string() });
        table.row([l.name.clone(), l.operator.to_owned(), l.output.clone(), params, macs]);
    }
    let mut text = format!(
        "{}: {}\n{} ({})\ninput {}x{}x{}, {} classes: {} parameters, {} multiply-adds\n",
        e.name, e.description, e.paper, e.year, e.input.0, e.input.1, e.input.2, e.classes, e.params, e.macs
    );
    for w in &e.weights {
        let _ = writeln!(text, "weights of {}: {}", w.from, w.name);
    }
    text.push('\n');
    text.push_str(&table.to_string());
    print(&text)
}
