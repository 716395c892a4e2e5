//! The instruction sets that a table belongs to, and how peers are held to the one that ours is held to.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, bail};

/// What our program computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instructions {
    /// The kind of machine that a table is for: `avx512-vnni`, `avx512`, `avx2` or `portable`.
    pub(crate) used: &'static str,
    /// The kind of this machine.
    pub(crate) machine: &'static str,
}

impl Instructions {
    /// What ours computes with on this machine if the command line says `--isa ISA`.
    pub(crate) fn of_this_machine(isa: Option<&str>) -> Result<Self> {
        Self::on(detected(), isa)
    }

    fn on(machine: &'static str, isa: Option<&str>) -> Result<Self> {
        let used = match isa {
            None => machine,
            Some("portable") => "portable",
            Some("avx2") if machine != "portable" => "avx2",
            Some("avx512") if machine.starts_with("avx512") => machine,
            Some("avx2" | "avx512") => bail!("--isa: this machine is of the kind {machine}"),
            Some(other) => bail!("--isa: expected avx512, avx2 or portable, found `{other}`"),
        };
        Ok(Self { used, machine })
    }

    pub(crate) fn are_limited(self) -> bool {
        self.used != self.machine
    }

    /// The sentences of a page about the limit and the peers that it does not reach; nothing without one.
    pub(crate) fn told(self, peers: &BTreeSet<String>) -> String {
        if !self.are_limited() {
            return String::new();
        }
        let (held, free): (Vec<&str>, Vec<&str>) =
            peers.iter().map(String::as_str).partition(|peer| is_held(self.used, peer));
        let held = [&["ours"], &held[..]].concat().join(", ");
        let mut text = format!("Limited to {} by `--isa`: {held}.", self.used);
        if !free.is_empty() {
            text += " Not to be limited, so with all instructions of the machine: ";
            text += &free.join(", ");
            text.push('.');
        }
        text + "\n"
    }
}

/// Whether a peer, by the name that heads its column, computes with no more than these instructions when [`restrain`]
/// has been applied.
fn is_held(used: &str, peer: &str) -> bool {
    let name = peer.split_whitespace().next().unwrap_or(peer);
    // oneDNN and ATen read a variable. MNN's package has nothing above AVX2, on any machine.
    used == "avx2" && ["torch", "openvino", "MNN"].contains(&name)
}

/// Holds a peer to the threads and the instruction set that we are held to, as far as it lets itself be held.
pub(crate) fn restrain(command: &mut Command, threads: usize, isa: Option<&str>) {
    command.env("OMP_NUM_THREADS", threads.to_string());
    if isa == Some("avx2") {
        command.env("ONEDNN_MAX_CPU_ISA", "AVX2").env("ATEN_CPU_CAPABILITY", "avx2");
        command.env("OPENCV_CPU_DISABLE", "AVX512-SKX").env("OPENCV_IPP", "avx2");
    }
}

/// As `Isa::detect` of our kernels, with the instructions for sums of products of bytes told apart.
fn detected() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        return match (avx512, is_x86_feature_detected!("avx512vnni")) {
            (true, true) => "avx512-vnni",
            (true, false) => "avx512",
            (false, _) => "avx2",
        };
    }
    "portable"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_what_ours_uses() {
        let used = |machine, isa| Instructions::on(machine, isa).map(|i| (i.used, i.are_limited()));
        assert_eq!(used("avx512-vnni", None).unwrap(), ("avx512-vnni", false));
        assert_eq!(used("avx512-vnni", Some("avx512")).unwrap(), ("avx512-vnni", false));
        assert_eq!(used("avx512-vnni", Some("avx2")).unwrap(), ("avx2", true));
        assert_eq!(used("avx2", Some("avx2")).unwrap(), ("avx2", false));
        assert_eq!(used("avx512", Some("portable")).unwrap(), ("portable", true));
        assert!(used("avx2", Some("avx512")).unwrap_err().to_string().contains("kind avx2"));
        assert!(used("avx2", Some("sse")).unwrap_err().to_string().contains("`sse`"));
    }

    #[test]
    fn peers_beyond_the_limit_are_told() {
        let peers: BTreeSet<String> =
            ["MNN", "ncnn", "onnxruntime", "openvino", "torch compile"].map(String::from).into();
        let limited = Instructions::on("avx512-vnni", Some("avx2")).unwrap();
        assert_eq!(
            limited.told(&peers),
            "Limited to avx2 by `--isa`: ours, MNN, openvino, torch compile. Not to be limited, so with all instructions \
             of the machine: ncnn, onnxruntime.\n"
        );
        assert_eq!(limited.told(&BTreeSet::new()), "Limited to avx2 by `--isa`: ours.\n");
        assert_eq!(Instructions::on("avx2", Some("avx2")).unwrap().told(&peers), "");
    }
}
