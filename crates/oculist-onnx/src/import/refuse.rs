//! Operators that are known and refused, with the reason.

use crate::error::Unsupported;

/// The domains whose operators are read, the default one as empty.
const DOMAINS: [&str; 3] = ["", "ai.onnx.ml", "com.microsoft"];

/// Why an operator cannot be read, if it is known that it cannot.
pub(super) fn reason(domain: &str, op: &str) -> Option<Unsupported> {
    if domain.ends_with(".training") {
        return Some(Unsupported::Training);
    }
    if !DOMAINS.contains(&domain) {
        return Some(Unsupported::Domain);
    }
    Some(match op {
        "If" | "Loop" | "Scan" => Unsupported::ControlFlow,
        "LSTM" | "GRU" | "RNN" => Unsupported::Recurrent,
        "SequenceAt" | "SequenceConstruct" | "SequenceEmpty" | "SequenceErase" | "SequenceInsert"
        | "SequenceLength" | "SequenceMap" | "SplitToSequence" | "ConcatFromSequence" => {
            Unsupported::Sequence
        }
        "Optional" | "OptionalGetElement" | "OptionalHasElement" => Unsupported::Optional,
        "StringConcat" | "StringNormalizer" | "StringSplit" | "RegexFullMatch" | "TfIdfVectorizer"
        | "Tokenizer" | "CategoryMapper" | "DictVectorizer" | "CastMap" | "ZipMap" => Unsupported::Text,
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" | "Multinomial"
        | "Bernoulli" => Unsupported::Random,
        "Gradient" | "GraphCall" | "Adam" | "Adagrad" | "Momentum" => Unsupported::Training,
        "ImageDecoder" => Unsupported::ImageFile,
        _ => return None,
    })
}

/// Why an operator that no room reads is unknown.
pub(super) fn unknown(domain: &str) -> Unsupported {
    if domain == "ai.onnx.ml" { Unsupported::Classical } else { Unsupported::Unknown }
}
