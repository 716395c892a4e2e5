//! Names that no weights need and that attacks use.
//!
//! Nothing is called in any case: this table only tells a user what the file is. Names that are not in it are data.

/// Modules whose names are refused, with all below them.
const MODULES: [&str; 43] = [
    "_pickle",
    "_posixsubprocess",
    "asyncio",
    "bdb",
    "cloudpickle",
    "code",
    "codeop",
    "commands",
    "cProfile",
    "ctypes",
    "dill",
    "ftplib",
    "http",
    "httplib",
    "imp",
    "importlib",
    "joblib",
    "linecache",
    "marshal",
    "multiprocessing",
    "nt",
    "os",
    "pdb",
    "pickle",
    "pip",
    "posix",
    "profile",
    "pty",
    "pydoc",
    "requests",
    "runpy",
    "shutil",
    "site",
    "smtplib",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "threading",
    "timeit",
    "urllib",
    "urllib2",
    "webbrowser",
];

/// What may be named of Python's own functions: the classes of plain values, and `getattr`, by which protocols before 4 name
/// a class within a class.
const BUILTINS: [&str; 20] = [
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "Ellipsis",
    "float",
    "frozenset",
    "getattr",
    "int",
    "list",
    "long",
    "NotImplemented",
    "object",
    "range",
    "set",
    "slice",
    "str",
    "tuple",
    "unicode",
];

/// Single names, with all below them.
const NAMES: [&str; 9] = [
    "numpy.load",
    "numpy.testing",
    "torch.hub",
    "torch.jit",
    "torch.load",
    "torch.serialization.load",
    "torch.utils.cpp_extension",
    "types.CodeType",
    "types.FunctionType",
];

/// Whether a full name is refused.
pub(super) fn is_refused(name: &str) -> bool {
    let is_or_below =
        |of: &str| name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let builtin = ["builtins.", "__builtin__.", "__builtins__."].iter().find_map(|m| name.strip_prefix(m));
    builtin.is_some_and(|name| !BUILTINS.contains(&name))
        || MODULES.iter().any(|m| is_or_below(m))
        || NAMES.iter().any(|n| is_or_below(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_programs_is_refused_and_what_is_data_is_not() {
        for name in [
            "posix.system",
            "os.system",
            "os.path.join",
            "nt.system",
            "builtins.eval",
            "__builtin__.compile",
            "builtins.dict.fromkeys",
            "subprocess.Popen",
            "torch.hub.load",
            "torch.load",
            "numpy.testing._private.utils.runstring",
        ] {
            assert!(is_refused(name), "{name}");
        }
        for name in [
            "builtins.set",
            "__builtin__.getattr",
            "torch._utils._rebuild_tensor_v2",
            "torch.FloatStorage",
            "argparse.Namespace",
            "pathlib.PosixPath",
            "osmosis.Thing",
            "functools.partial",
        ] {
            assert!(!is_refused(name), "{name}");
        }
    }
}
