//! The images: synthetic, smooth with edges and grain as photographs have, the same bytes for all sides.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use oculist_augment::{Image, Rng};

/// Images in a pool.
pub(crate) const COUNT: usize = 8;

/// Which images a case works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// 32x32.
    Small,
    /// 224x224.
    Medium,
    /// 500x375.
    Photo,
    /// The same as files.
    Jpeg,
}

impl Source {
    fn size(self) -> (usize, usize) {
        match self {
            Self::Small => (32, 32),
            Self::Medium => (224, 224),
            Self::Photo | Self::Jpeg => (500, 375),
        }
    }

    /// What the peers' programs call the images of so many channels.
    pub(crate) fn name(self, channels: usize) -> String {
        let size = match self {
            Self::Small => "32",
            Self::Medium => "224",
            Self::Photo => "photo",
            Self::Jpeg => "jpeg",
        };
        let color = match channels {
            1 => " grey",
            4 => " rgba",
            _ => "",
        };
        format!("{size}{color}")
    }

    fn file(self, i: usize) -> String {
        let (width, height) = self.size();
        let ending = if self == Self::Jpeg { "jpg" } else { "rgb" };
        format!("{width}x{height}-{i}.{ending}")
    }
}

/// Images in memory.
pub(crate) enum Pool {
    Images(Vec<Image>),
    Jpegs(Vec<Vec<u8>>),
}

impl Pool {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Jpegs(files) => files.len(),
        }
    }
}

/// Writes all pools: RGB bytes in files named `WIDTHxHEIGHT-NUMBER.rgb`, and JPEG files of quality 96 with colour at
/// half the resolution.
pub(crate) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let save = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    for source in [Source::Small, Source::Medium, Source::Photo] {
        let (width, height) = source.size();
        for i in 0..COUNT {
            let pixels = picture(width, height, i as u64);
            save(source.file(i), &pixels)?;
            if source == Source::Photo {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 96);
                encoder.set_sampling_factor(SamplingFactor::F_2_2);
                encoder.encode(&pixels, width as u16, height as u16, ColorType::Rgb)?;
                save(Source::Jpeg.file(i), &bytes)?;
            }
        }
    }
    Ok(())
}

/// Reads a pool. Images of one channel are the red of those in the files, images of four have the green as alpha.
pub(crate) fn read(folder: &Path, source: Source, channels: usize) -> Result<Pool> {
    let (width, height) = source.size();
    let load = |i| {
        let path = folder.join(source.file(i));
        fs::read(&path).with_context(|| path.display().to_string())
    };
    if source == Source::Jpeg {
        return Ok(Pool::Jpegs((0..COUNT).map(load).collect::<Result<_>>()?));
    }
    let with_channels = |pixels: Vec<u8>| match channels {
        3 => pixels,
        _ => pixels
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[r, g, b]| [r, g, b, g].into_iter().take(channels))
            .collect(),
    };
    let images = (0..COUNT).map(|i| Ok(Image::new(width, height, channels, with_channels(load(i)?))?));
    Ok(Pool::Images(images.collect::<Result<_>>()?))
}

/// Noise of halving wavelength and strength, disks of one colour with sharp edges, a little grain.
fn picture(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::keyed(&[seed, width as u64, height as u64]);
    let size = width.min(height) as f32;
    let mut values = vec![0f32; width * height * 3];
    for c in 0..3 {
        let base = rng.range(80.0, 170.0);
        values.iter_mut().skip(c).step_by(3).for_each(|v| *v = base);
    }
    for octave in 0..5u64 {
        let cell = (size / 2.0 / f32::from(1u8 << octave)).max(1.0);
        let amplitude = 70.0 / f32::from(1u8 << octave);
        let columns = (width as f32 / cell) as usize + 2;
        let rows = (height as f32 / cell) as usize + 2;
        // Mostly grey, as the world is.
        let lattice: Vec<[f32; 3]> = (0..columns * rows)
            .map(|_| {
                let grey = rng.range(-1.0, 1.0);
                std::array::from_fn(|_| 0.8 * grey + 0.2 * rng.range(-1.0, 1.0))
            })
            .collect();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (x as f32 / cell, y as f32 / cell);
                let (i, j, fu, fv) = (u as usize, v as usize, u.fract(), v.fract());
                for c in 0..3 {
                    let at = |i: usize, j: usize| lattice[j * columns + i][c];
                    let top = at(i, j) * (1.0 - fu) + at(i + 1, j) * fu;
                    let bottom = at(i, j + 1) * (1.0 - fu) + at(i + 1, j + 1) * fu;
                    values[(y * width + x) * 3 + c] += amplitude * (top * (1.0 - fv) + bottom * fv);
                }
            }
        }
    }
    for _ in 0..6 {
        let (cx, cy) = (rng.range(0.0, width as f32), rng.range(0.0, height as f32));
        let radius = rng.range(0.05, 0.2) * size;
        let shift = [0; 3].map(|_| rng.range(-90.0, 90.0));
        for y in 0..height {
            for x in 0..width {
                if (x as f32 - cx).hypot(y as f32 - cy) < radius {
                    for c in 0..3 {
                        values[(y * width + x) * 3 + c] += shift[c];
                    }
                }
            }
        }
    }
    values.iter().map(|v| (v + 3.0 * rng.normal()).round().clamp(0.0, 255.0) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_differ_and_neighbours_are_alike() {
        let (a, b) = (picture(64, 48, 0), picture(64, 48, 1));
        assert_eq!(a, picture(64, 48, 0));
        let difference = |a: &[u8], b: &[u8]| {
            a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
        };
        assert!(difference(&a, &b) > 20.0);
        assert!(difference(&a[3..], &a[..a.len() - 3]) < 10.0);
        let (least, most) = (a.iter().min().unwrap(), a.iter().max().unwrap());
        assert!(*least < 60 && *most > 190, "{least}..{most}");
    }
}
