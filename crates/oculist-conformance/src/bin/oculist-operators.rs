//! Writes what each stage does with each operator into a page, as the stages themselves say it. `cargo xtask operators`
//! calls this.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use oculist_graph::op::{Given, Quantization, Seen, Ties};
use oculist_graph::{DataType, Op, Shape};
use oculist_plain::Gradient;

/// What stands before the table in the page, and behind it.
const MARKS: [&str; 2] =
    ["<!-- operators: written by `cargo xtask operators --write` -->", "<!-- operators: end -->"];

const HEAD: &str = "| operator | opset | gradient | fast inference | fast training | int8 | pruning |\n\
                    |---|---:|---|---|---|---|---|\n";

/// Without the name.
const COLUMNS: usize = 6;

/// What the stages say of an operator with certain attributes, a cell each.
type Cells = [&'static str; COLUMNS - 1];

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let [mode, path] = arguments else { bail!("expected --write PAGE or --check PAGE") };
    let path = Path::new(path);
    let old = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let new = with_table(&old, &table(&Op::all()))?;
    match mode.as_str() {
        "--write" => {
            fs::write(path, new).with_context(|| path.display().to_string())?;
            println!("wrote {}", path.display());
        }
        "--check" => match difference(&old, &new) {
            Some(problem) => {
                bail!("{}: {problem}; `cargo xtask operators --write` makes it anew", path.display())
            }
            None => println!("{} holds", path.display()),
        },
        other => bail!("unknown argument `{other}`"),
    }
    Ok(())
}

/// The page with another table.
fn with_table(page: &str, table: &str) -> Result<String> {
    let [begin, end] = MARKS;
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, behind) = parts.with_context(|| format!("expected the lines `{begin}` and `{end}`"))?;
    Ok(format!("{before}{begin}\n{table}{end}{behind}"))
}

/// The first line in which two pages differ.
fn difference(old: &str, new: &str) -> Option<String> {
    let (mut left, mut right) = (old.lines(), new.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return (old != new).then(|| "its line ends differ".to_owned()),
            (a, b) if a == b => {}
            (a, b) => {
                let shown =
                    |line: Option<&str>| line.map_or("no line".to_owned(), |line| format!("`{line}`"));
                return Some(format!("expected {}, found {}", shown(b), shown(a)));
            }
        }
    }
}

/// The table: a row for each name, in which answers that depend on attributes stand side by side.
fn table(all: &[Op]) -> String {
    let mut rows: BTreeMap<String, (Option<i64>, Vec<Cells>)> = BTreeMap::new();
    for op in all {
        let (since, cells) = rows.entry(full_name((op.domain(), op.name()))).or_default();
        // Of other domains, the opset of ONNX's own says nothing.
        let first = op.domain().is_empty().then(|| op.since());
        *since = since.map_or(first, |since| first.map(|first| first.min(since)));
        cells.push(answers(op));
    }
    let mut text = HEAD.to_owned();
    let others: Vec<String> =
        Op::names().into_iter().map(full_name).filter(|name| !rows.contains_key(name)).collect();
    for (name, (since, cells)) in rows {
        let since = since.map_or("–".to_owned(), |since| since.to_string());
        let mut row = vec![name, since];
        for column in 0..COLUMNS - 1 {
            let mut said: Vec<&str> = Vec::new();
            for answer in cells.iter().map(|cells| cells[column]) {
                if !said.contains(&answer) {
                    said.push(answer);
                }
            }
            row.push(said.join(" / "));
        }
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    let others = others.join(", ");
    let _ = writeln!(text, "\nRead under these names too, and written as one of the above: {others}.");
    text
}

/// A name with its domain, if that is not ONNX's own.
fn full_name((domain, name): (&str, &str)) -> String {
    if domain.is_empty() { name.to_owned() } else { format!("{domain}.{name}") }
}

/// What the stages say.
fn answers(op: &Op) -> Cells {
    let yes = |yes: bool| if yes { "yes" } else { "–" };
    [
        match oculist_plain::differentiable(op) {
            Gradient::Known => "yes",
            Gradient::Zero => "zero",
            Gradient::Unknown => "–",
        },
        yes(oculist_runtime::has_fast_step(op)),
        yes(oculist_train::has_fast_step(op)),
        match op.quantization() {
            Quantization::Layer => "layer",
            Quantization::Arithmetic => "arithmetic",
            Quantization::Table => "table",
            Quantization::Moves => "moves",
            Quantization::Float => "–",
            Quantization::Conversion => "conversion",
        },
        yes(ties(op) != Ties::Never),
    ]
}

/// What an operator says of pruning, if all its values are maps: whether it ever ties axes does not depend on them.
fn ties(op: &Op) -> Ties {
    let shape = Shape::fixed(&[8, 8, 8, 8]);
    let seen = Seen { name: "map", dtype: DataType::F32, shape: &shape, items: None, tensor: None };
    let (inputs, outputs) = (op.arity().0.max(1), op.outputs().0.max(1));
    let given = Given { inputs: vec![Some(seen); inputs], outputs };
    op.ties(&given, &vec![&shape; outputs])
}

#[cfg(test)]
mod tests {
    use oculist_graph::Gemm;

    use super::*;

    fn row(table: &str, name: &str) -> Vec<String> {
        let start = format!("| {name} |");
        let line = table.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no {name}"));
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    }

    #[test]
    fn every_name_that_can_be_read_is_told() {
        let table = table(&Op::all());
        let others = table.lines().last().unwrap();
        for name in Op::names().into_iter().map(full_name) {
            if !others.contains(&name) {
                assert_eq!(row(&table, &name).len(), COLUMNS + 3, "{name}");
            }
        }
        assert!(others.contains(" com.microsoft.GridSample"), "{others}");
    }

    #[test]
    fn rows_say_what_the_stages_do() {
        let table = table(&Op::all());
        // By definition: a layer is trained, quantised and pruned, indices of the largest have no gradient.
        assert_eq!(row(&table, "Conv")[2..8], ["1", "yes", "yes", "yes", "layer", "yes"]);
        assert_eq!(row(&table, "IsNaN")[4..6], ["–", "–"]);
        assert_eq!(row(&table, "NonMaxSuppression")[3..8], ["zero", "–", "–", "–", "–"]);
        assert_eq!(row(&table, "ReduceMean")[4..6], ["yes", "yes"]);
        assert_eq!(row(&table, "ReduceProd")[4..6], ["–", "–"]);
        assert_eq!(row(&table, "com.microsoft.QLinearAdd")[2], "–");
    }

    #[test]
    fn a_changed_row_is_found() {
        let page = format!("# Page\n\n{}\nold\n{}\n\nEnd\n", MARKS[0], MARKS[1]);
        let right = with_table(&page, &table(&Op::all())).unwrap();
        assert!(
            right.starts_with("# Page\n") && right.ends_with("-->\n\nEnd\n") && !right.contains("\nold\n")
        );
        assert_eq!(difference(&right, &with_table(&right, &table(&Op::all())).unwrap()), None);
        let changed = right.replace("| Conv | 1 | yes | yes |", "| Conv | 1 | yes | – |");
        let problem = difference(&changed, &right).unwrap();
        assert!(problem.contains("expected `| Conv | 1 | yes | yes |"), "{problem}");
        let others: Vec<&str> = right.lines().filter(|line| !line.starts_with("| Conv |")).collect();
        let shorter = others.join("\n");
        assert!(difference(&shorter, &right).is_some());
        assert!(with_table("# Page\n", "").is_err());
    }

    #[test]
    fn answers_that_depend_on_attributes_stand_side_by_side() {
        let all = [Gemm::LINEAR, Gemm { alpha: 0.5, ..Gemm::LINEAR }].map(Op::from);
        assert_eq!(row(&table(&all), "Gemm")[4..6], ["yes", "yes / –"]);
        assert_eq!(row(&table(&all[..1]), "Gemm")[4..6], ["yes", "yes"]);
    }
}
