//! The architectures of the literature as graph builders.
//!
//! [`architectures`] lists them, [`build`] makes one for a number of classes and an input size, [`initialize`] draws
//! its start weights and [`load_named`] fills it with weights from elsewhere. Parameters carry the names of
//! torchvision's `state_dict`, so that foreign weights map one to one, and at 224x224 with three channels the graphs
//! are torchvision's: same layers, parameter counts and multiply-adds (EfficientNet-Lite, which torchvision has not, is
//! TensorFlow's and timm's; so are timm's MobileNetV1, SE-ResNet, RepVGG and the vision transformers, names included).
//! [`sources`] says where pretrained weights can be had. For small images the stems and heads change
//! as is usual for CIFAR; every family's module states how.
//!
//! ```
//! use oculist_zoo::{BuildOptions, build, initialize};
//!
//! let mut graph = build("resnet20", &BuildOptions::new(10, (3, 32, 32)))?;
//! initialize(&mut graph, 42);
//! assert_eq!(graph.cost().params, 269_722);
//! # Ok::<(), oculist_zoo::ZooError>(())
//! ```

mod airbench;
mod alexnet;
mod catalog;
mod cifar_resnet;
mod convnext;
mod default;
mod densenet;
mod efficientnet;
mod efficientnet_lite;
mod error;
mod googlenet;
mod inception_v3;
mod init;
mod layers;
mod load;
mod mobilenet_v1;
mod mobilenet_v2;
mod mobilenet_v3;
mod mobileone;
mod options;
mod page;
mod regnet;
mod repvgg;
mod resnet;
mod shufflenet_v2;
mod sources;
mod squeezenet;
mod vgg;
mod vit;

pub use airbench::WHITENING;
pub use catalog::{ArchitectureInfo, Family, architectures, build, find, stem_with_kernel};
pub use default::{SMALL_INPUT, Suggestion, default_for};
pub use error::{Mismatch, ZooError};
pub use init::{InitOptions, initialize, initialize_with};
pub use load::load_named;
pub use options::{BuildOptions, Head, Normalization, Stem};
pub use page::{Layer, layers, page, parts};
pub use sources::{Source, sources};
