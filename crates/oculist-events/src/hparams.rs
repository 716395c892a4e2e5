//! Hyperparameters, for TensorBoard's tab HPARAMS.

use std::collections::BTreeMap;

use prost::Message;

use crate::proto::{
    Data, Dim, Experiment, HParamInfo, HParamsData, HParamsPluginData, Kind, MetricInfo, MetricName,
    PluginData, SessionEndInfo, SessionStartInfo, SummaryMetadata, SummaryValue, TensorProto,
    TensorShapeProto, Value,
};

/// The value of a hyperparameter.
#[derive(Debug, Clone, PartialEq)]
pub enum HParam {
    /// A number; TensorBoard shows an empty cell for one that is not finite.
    Number(f64),
    /// A word.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl HParam {
    /// As TensorBoard's `DataType`.
    fn data_type(&self) -> i32 {
        match self {
            Self::Text(_) => 1,
            Self::Flag(_) => 2,
            Self::Number(_) => 3,
        }
    }

    fn value(&self) -> Value {
        let kind = match self {
            Self::Number(number) => Kind::Number(*number),
            Self::Text(text) => Kind::Text(text.clone()),
            Self::Flag(flag) => Kind::Flag(*flag),
        };
        Value { kind: Some(kind) }
    }
}

impl From<f64> for HParam {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for HParam {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&str> for HParam {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HParam {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Success,
    /// With an error.
    Failure,
}

/// Which columns the tab has: parameters and tags of scalars.
pub(crate) fn experiment(
    parameters: &BTreeMap<String, HParam>,
    metrics: &[&str],
    seconds: f64,
) -> SummaryValue {
    let hparam_infos = parameters
        .iter()
        .map(|(name, value)| HParamInfo { name: name.clone(), data_type: value.data_type() });
    let metric_infos =
        metrics.iter().map(|&tag| MetricInfo { name: Some(MetricName { tag: tag.to_owned() }) });
    let experiment = Experiment {
        time_created_secs: seconds,
        hparam_infos: hparam_infos.collect(),
        metric_infos: metric_infos.collect(),
    };
    value("_hparams_/experiment", HParamsData::Experiment(experiment))
}

/// What this run's parameters are.
pub(crate) fn session_start(parameters: &BTreeMap<String, HParam>, seconds: f64) -> SummaryValue {
    let hparams = parameters.iter().map(|(name, value)| (name.clone(), value.value())).collect();
    let start = SessionStartInfo { hparams, start_time_secs: seconds };
    value("_hparams_/session_start_info", HParamsData::SessionStart(start))
}

/// How this run ended.
pub(crate) fn session_end(outcome: Outcome, seconds: f64) -> SummaryValue {
    let status = match outcome {
        Outcome::Success => 1,
        Outcome::Failure => 2,
    };
    let end = SessionEndInfo { status, end_time_secs: seconds };
    value("_hparams_/session_end_info", HParamsData::SessionEnd(end))
}

/// A value that is all in its metadata: the tensor is an empty one of floats, since there must be one.
fn value(tag: &str, data: HParamsData) -> SummaryValue {
    let content = HParamsPluginData { data: Some(data) }.encode_to_vec();
    let plugin_data = PluginData { plugin_name: "hparams".into(), content };
    let tensor = TensorProto {
        dtype: 1,
        tensor_shape: Some(TensorShapeProto { dim: vec![Dim { size: 0 }] }),
        string_val: Vec::new(),
    };
    SummaryValue {
        tag: tag.into(),
        data: Some(Data::Tensor(tensor)),
        metadata: Some(SummaryMetadata { plugin_data: Some(plugin_data) }),
    }
}
