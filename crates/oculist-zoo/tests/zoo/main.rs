//! The architectures against torchvision's answers and against their own promises.

mod golden;
mod options;
mod pages;
mod published;
mod shapes;
