//! An architecture as a table of its layers, and as a page of the documentation.

use std::fmt::Write;

use oculist_graph::Graph;

use crate::catalog::{ArchitectureInfo, build};
use crate::error::ZooError;
use crate::options::BuildOptions;
use crate::sources::sources;

/// A node of a graph, or several that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// ONNX's name of the operator; of several nodes, of the last.
    pub operator: &'static str,
    /// Shape of the result.
    pub output: String,
    /// Trained parameters, those that an earlier node reads too not counted again.
    pub params: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
}

/// The nodes of an architecture for an input `(channels, height, width)` and a number of classes, in the order of computing.
///
/// # Errors
/// As [`build`].
pub fn layers(
    info: &ArchitectureInfo,
    input: (usize, usize, usize),
    classes: usize,
) -> Result<Vec<Layer>, ZooError> {
    Ok(of_graph(&build(info.name, &BuildOptions::new(classes, input))?))
}

fn of_graph(graph: &Graph) -> Vec<Layer> {
    let cost = graph.cost();
    graph
        .nodes()
        .iter()
        .zip(&cost.nodes)
        .map(|(node, (_, cost))| Layer {
            name: node.name.clone(),
            operator: node.op.name(),
            output: graph.shape(node.output()).to_string(),
            params: cost.params,
            macs: cost.macs,
        })
        .collect()
}

/// The layers by the blocks that their names tell, with the number of nodes of each.
pub fn parts(layers: &[Layer]) -> Vec<(Layer, usize)> {
    let mut parts: Vec<(Layer, usize)> = Vec::new();
    for layer in layers {
        let name = block_of(&layer.name);
        match parts.last_mut() {
            Some((part, nodes)) if part.name == name => {
                part.operator = layer.operator;
                part.output.clone_from(&layer.output);
                part.params += layer.params;
                part.macs += layer.macs;
                *nodes += 1;
            }
            _ => parts.push((Layer { name: name.to_owned(), ..layer.clone() }, 1)),
        }
    }
    parts
}

/// `layer1.0` of `layer1.0.conv1`, `features.denseblock1` of its layers, `inception3a` of its branches.
fn block_of(name: &str) -> &str {
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    let Some(first) = dots.next() else { return name };
    let second = dots.next().unwrap_or(name.len());
    let (head, next) = (&name[..first], &name[first + 1..second]);
    let numbered = next.bytes().all(|b| b.is_ascii_digit());
    let has_digit = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    if numbered || !has_digit(head) { &name[..second] } else { head }
}

/// The page of an architecture in Markdown.
///
/// # Errors
/// As [`build`].
pub fn page(info: &ArchitectureInfo) -> Result<String, ZooError> {
    let (channels, height, width) = info.native_input;
    let mut text = format!(
        "# {}\n\n{}{}.\n\n{} ({}).\n\n",
        info.name,
        info.description.chars().next().map(char::to_uppercase).into_iter().flatten().collect::<String>(),
        info.description.chars().skip(1).collect::<String>(),
        info.paper,
        info.year
    );
    let sizes: Vec<String> = info.input_sizes.iter().map(ToString::to_string).collect();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "| {what} | {value} |");
    };
    line("", "");
    line("---", "---");
    line("family", &info.family.to_string());
    line("published input", &format!("{channels}x{height}x{width}, {} classes", info.native_classes));
    line("usual sides in pixels", &sizes.join(", "));
    line("parameters", &grouped(info.params));
    line("multiply-adds", &grouped(info.macs));
    if !info.aliases.is_empty() {
        line("also called", &info.aliases.iter().map(|a| format!("`{a}`")).collect::<Vec<_>>().join(", "));
    }
    let _ = write!(
        text,
        "\n`oculist train DATA --arch {0}` trains it; `oculist zoo show {0}` prints every layer, `--image-size` for another \
         input.\n\n## Pretrained weights\n\n",
        info.name
    );
    let found: Vec<_> = sources(info.name).collect();
    if found.is_empty() {
        text.push_str("None that we know of.\n");
    }
    for source in found {
        let _ = match source.from {
            "torchvision" => writeln!(
                text,
                "- torchvision: [{0}](https://download.pytorch.org/models/{0}), with `--model FILE --arch {1}`",
                source.name, info.name
            ),
            "timm" => writeln!(text, "- timm: `--model {} --arch {}`", source.name, info.name),
            from => writeln!(text, "- {from}: the package `{}`", source.name),
        };
    }
    text.push_str(
        "\n## Layers\n\nOf the published form, by blocks.\n\n| block | nodes | output | parameters | multiply-adds \
         |\n|---|--:|---|--:|--:|\n",
    );
    for (part, nodes) in parts(&layers(info, info.native_input, info.native_classes)?) {
        let [params, macs] = [part.params, part.macs].map(grouped);
        let _ = writeln!(text, "| `{}` | {nodes} | {} | {params} | {macs} |", part.name, part.output);
    }
    Ok(text)
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_by_names() {
        for (name, block) in [
            ("conv1", "conv1"),
            ("layer1.0.conv1", "layer1.0"),
            ("features.denseblock1.denselayer2.conv1", "features.denseblock1"),
            ("inception3a.branch1.conv", "inception3a"),
            ("blocks.11.attn.qkv.product", "blocks.11"),
            ("head.fc", "head.fc"),
        ] {
            assert_eq!(block_of(name), block);
        }
    }

    #[test]
    fn the_blocks_have_what_the_layers_have() {
        let info = crate::find("resnet18").unwrap();
        let layers = layers(info, info.native_input, info.native_classes).unwrap();
        let parts = parts(&layers);
        assert!(parts.len() < layers.len() / 2);
        let sums = |of: fn(&Layer) -> u64| {
            [layers.iter().map(of).sum::<u64>(), parts.iter().map(|(part, _)| of(part)).sum()]
        };
        assert_eq!(sums(|l| l.params), [info.params; 2]);
        assert_eq!(sums(|l| l.macs), [info.macs; 2]);
        assert_eq!(parts.last().unwrap().0.output, "[N, 1000]");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
