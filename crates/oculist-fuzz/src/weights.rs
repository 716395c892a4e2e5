//! Bytes as a file of weights.

use oculist_graph::Graph;
use oculist_weights::{Partial, load_into, read_bytes};

/// Reads the bytes as safetensors or what `torch.save` writes, and gives a graph what is read.
///
/// What is read takes no more memory than a few times the file, and an error names the file.
///
/// # Panics
/// If the reader is at fault.
pub fn weights(bytes: &[u8]) {
    let read = |choose| match read_bytes(bytes, "weights.pth", choose) {
        Err(error) => {
            assert!(error.to_string().contains("weights.pth"), "no file in: {error}");
            Err(error)
        }
        read => read,
    };
    // Of several sets of weights, one is asked for by name.
    let found = read(None).or_else(|_| read(Some("model"))).or_else(|_| read(Some("state_dict")));
    let Ok(found) = found else { return };
    let elements: usize = found.tensors.iter().map(|(_, t)| t.len() * t.dtype().size()).sum();
    assert!(elements <= 16 * bytes.len() + (1 << 21), "{elements} bytes of a file of {}", bytes.len());
    let mut graph = Graph::new("weights");
    for (name, tensor) in &found.tensors {
        assert!(tensor.shape().iter().product::<usize>() == tensor.len(), "{name}");
    }
    // Nothing of it is wanted.
    assert!(load_into(&mut graph, &found, Partial::No).is_err());
}
