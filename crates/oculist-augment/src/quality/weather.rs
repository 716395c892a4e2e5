//! Weather between the camera and the scene, and on its glass. The alpha channel of RGBA images is never touched.

use super::kernel::Tap;
use super::optics::motion_taps;
use super::plane::{Edge, Plane};
use super::plasma::plasma;
use super::{at_least, in_place};
use crate::color::luma;
use crate::error::{Result, parameter};
use crate::{Image, Rng};
use oculist_kernels::{Isa, image as kernels};
use serde::{Deserialize, Serialize};

/// Pixels that are shaded at once: their scales stay in the cache.
const SHADED: usize = 4096;

/// `x * scale(l) + l * tint` in levels, rounded to nearest, for the colours of each pixel and its value l of the layer.
fn shade(image: &mut Image, layer: &Plane, tint: [f32; 3], scale: impl Fn(f32) -> f32) {
    let (channels, isa) = (image.channels(), Isa::detect());
    let mut scales = Vec::with_capacity(SHADED);
    for (pixels, layer) in image.pixels_mut().chunks_mut(SHADED * channels).zip(layer.values.chunks(SHADED)) {
        scales.clear();
        scales.extend(layer.iter().map(|&l| scale(l)));
        kernels::shade_colors(isa, pixels, channels, &scales, layer, tint);
    }
}

/// The largest value but for alpha.
fn largest_color(image: &Image) -> u8 {
    if image.channels() == 1 {
        return image.pixels().iter().copied().fold(0, u8::max);
    }
    let bounds = kernels::channel_bounds(Isa::detect(), image.pixels(), image.channels());
    bounds.iter().fold(0, |most, bounds| most.max(bounds.1))
}

/// Fog: adds `density` times a cloud and scales the sum back to the image's range.
///
/// `(x + density * c) * m / (m + density)` with x in 0..=1, the cloud c in 0..=1 and m the image's largest value; a
/// larger `decay` makes the cloud smoother.
///
/// # Errors
/// A density outside 0..=100, a decay outside 1..=10.
///
/// # Source
/// Hendrycks and Dietterich 2019, fog.
pub fn fog(image: &Image, density: f32, decay: f32, seed: u64) -> Result<Image> {
    in_place(image, |image| fog_in_place(image, density, decay, seed))
}

pub(crate) fn fog_in_place(image: &mut Image, density: f32, decay: f32, seed: u64) -> Result<()> {
    at_least("fog", "density", density, 0.0, 100.0)?;
    at_least("fog", "decay", decay, 1.0, 10.0)?;
    let cloud = plasma(image.width(), image.height(), decay, &mut Rng::keyed(&[seed]));
    let most = f32::from(largest_color(image)) / 255.0;
    let factor = if most + density > 0.0 { most / (most + density) } else { 1.0 };
    shade(image, &cloud, [255.0 * density * factor; 3], |_| factor);
    Ok(())
}

/// Frost on the glass: `keep * x + amount * pattern`.
///
/// # Errors
/// A `keep` or `amount` outside 0..=2.
///
/// # Source
/// The mixture of Hendrycks and Dietterich 2019, frost. Deviation: theirs cuts the pattern from six photographs; here it
/// is made from ridges of clouds and from needles in three directions, bluish, with a mean near that of bright frost.
/// Numbers measured with it are not comparable with published ones for frost.
pub fn frost(image: &Image, keep: f32, amount: f32, seed: u64) -> Result<Image> {
    at_least("frost", "keep", keep, 0.0, 2.0)?;
    at_least("frost", "amount", amount, 0.0, 2.0)?;
    let pattern = frost_pattern(image.width(), image.height(), seed)?;
    let tint = if image.channels() == 1 { [0.93; 3] } else { [0.86, 0.94, 1.0] };
    let tint = tint.map(|tint| 255.0 * amount * tint);
    let mut out = image.clone();
    shade(&mut out, &pattern, tint, |_| keep);
    Ok(out)
}

pub(super) fn frost_pattern(width: usize, height: usize, seed: u64) -> Result<Plane> {
    let mut rng = Rng::keyed(&[seed]);
    let (coarse, fine) = (plasma(width, height, 2.0, &mut rng), plasma(width, height, 1.5, &mut rng));
    let length = (width.min(height) as f32 / 14.0).clamp(1.0, 16.0);
    let turn = rng.range(0.0, 60.0);
    let mut needles = Plane::filled(width, height, 0.0);
    for direction in [0.0, 60.0, 120.0] {
        let mut seeds = Plane::normal(width, height, 0.0, 1.0, Rng::keyed(&[rng.next_u64()]));
        seeds.values.iter_mut().for_each(|v| *v = if *v > 1.6 { 1.0 } else { 0.0 });
        let taps = motion_taps("frost", length, length, turn + direction)?;
        for (n, v) in needles.values.iter_mut().zip(&seeds.convolved(&taps, Edge::Mirror).values) {
            *n = n.max(*v);
        }
    }
    let needles = needles.normalized();
    let values = coarse.values.iter().zip(&fine.values).zip(&needles.values).map(|((&c, &f), &n)| {
        let ridge = 1.0 - (2.0 * f - 1.0).abs();
        (0.15 + 0.35 * c + 0.3 * ridge * ridge + 0.35 * n).min(1.0)
    });
    Ok(Plane { width, height, values: values.collect() })
}

/// The parameters of [`snow`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Snow {
    /// Mean of the normal noise that flakes come from, -2..=2.
    pub mean: f32,
    /// Its standard deviation, 0..=2.
    pub std: f32,
    /// Magnification of the flakes, 1..=16.
    pub zoom: f32,
    /// Noise below this is no flake, 0..=2.
    pub threshold: f32,
    /// Half the length of a flake's trace in pixels, above 0, at most 512.
    pub radius: f32,
    /// How fast the trace fades, in pixels, above 0.
    pub sigma: f32,
    /// Weight of the scene; the rest is whitened by the light of the snow, 0..=1.
    pub keep: f32,
}

/// Falling snow: flakes with traces, and a scene that the snow lights up.
///
/// Flakes are normal noise, magnified, cut below the threshold and blurred along a direction drawn from -135..-45 degrees.
/// The scene is `keep * x + (1 - keep) * max(x, 1.5 grey + 0.5)`; the flakes are added, and once more turned by 180
/// degrees.
///
/// # Errors
/// A parameter out of its range.
///
/// # Source
/// Hendrycks and Dietterich 2019, snow.
pub fn snow(image: &Image, snow: Snow, seed: u64) -> Result<Image> {
    at_least("snow", "mean", snow.mean, -2.0, 2.0)?;
    at_least("snow", "std", snow.std, 0.0, 2.0)?;
    at_least("snow", "zoom", snow.zoom, 1.0, 16.0)?;
    at_least("snow", "threshold", snow.threshold, 0.0, 2.0)?;
    at_least("snow", "keep", snow.keep, 0.0, 1.0)?;
    let mut rng = Rng::keyed(&[seed]);
    let taps = motion_taps("snow", snow.radius, snow.sigma, rng.range(-135.0, -45.0))?;
    let (size, noise) = ((image.width(), image.height()), (snow.mean, snow.std));
    let mut layer = Plane::zoomed_normal(size, snow.zoom, noise, Rng::keyed(&[rng.next_u64()]));
    for v in &mut layer.values {
        *v = if *v < snow.threshold { 0.0 } else { v.min(1.0) };
    }
    let layer = layer.convolved(&taps, Edge::Nearest).values;
    let flakes: Vec<f32> = layer.iter().zip(layer.iter().rev()).map(|(a, b)| a + b).collect();
    let mut out = image.clone();
    let channels = out.channels();
    kernels::snow_colors(Isa::detect(), out.pixels_mut(), channels, &flakes, snow.keep);
    Ok(out)
}

/// The parameters of [`rain`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rain {
    /// Drops per 1000 pixels, 0..=1000.
    pub drops: f32,
    /// Length of a streak in pixels, 1..=512.
    pub length: f32,
    /// Angle of the streaks from the vertical in degrees, -80..=80; above 0 they fall to the right.
    pub slant: f32,
    /// How much a streak covers the scene, 0..=1.
    pub opacity: f32,
    /// How much the scene is darkened, 0..=1.
    pub dim: f32,
}

/// Falling rain: bright streaks of one direction over a darkened scene.
///
/// `y = (1 - dim) x (1 - a) + 0.8 a`, where a is the opacity on a streak and 0 elsewhere.
///
/// # Errors
/// A parameter out of its range.
///
/// # Source
/// Own definition; the benchmark has no rain.
pub fn rain(image: &Image, rain: Rain, seed: u64) -> Result<Image> {
    in_place(image, |image| rain_in_place(image, rain, seed))
}

pub(crate) fn rain_in_place(image: &mut Image, rain: Rain, seed: u64) -> Result<()> {
    at_least("rain", "drops", rain.drops, 0.0, 1000.0)?;
    at_least("rain", "length", rain.length, 1.0, 512.0)?;
    at_least("rain", "slant", rain.slant, -80.0, 80.0)?;
    at_least("rain", "opacity", rain.opacity, 0.0, 1.0)?;
    at_least("rain", "dim", rain.dim, 0.0, 1.0)?;
    let (width, height) = (image.width(), image.height());
    let mut rng = Rng::keyed(&[seed]);
    let mut layer = Plane::filled(width, height, 0.0);
    let count = (rain.drops * (width * height) as f32 / 1000.0).round() as usize;
    let (sin, cos) = rain.slant.to_radians().sin_cos();
    for _ in 0..count {
        let (mut x, mut y) = (rng.range(0.0, width as f32), rng.range(0.0, height as f32));
        // Far drops are fainter and shorter.
        let near = rng.range(0.4, 1.0);
        let steps = (rain.length * near).ceil() as usize;
        for _ in 0..steps {
            if x >= 0.0 && y >= 0.0 && (x as usize) < width && (y as usize) < height {
                let at = &mut layer.values[y as usize * width + x as usize];
                *at = at.max(near);
            }
            (x, y) = (x + sin, y + cos);
        }
    }
    shade(image, &layer, [0.8 * 255.0 * rain.opacity; 3], |near| {
        (1.0 - rain.dim) * (1.0 - rain.opacity * near)
    });
    Ok(())
}

/// What is spattered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpatterKind {
    /// Clear drops that brighten the scene.
    Water,
    /// Brown spots that hide the scene.
    Mud,
}

/// The parameters of [`spatter`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spatter {
    /// Mean of the normal noise that drops come from, 0..=2.
    pub mean: f32,
    /// Its standard deviation, 0..=2.
    pub std: f32,
    /// Size of the drops: standard deviation of the blur of the noise in pixels, 0..=64.
    pub size: f32,
    /// Blurred noise above this is liquid, 0..=2.
    pub threshold: f32,
    /// Water: how bright drops are, 0..=2. Mud: standard deviation of the blur of the spots' rims in pixels, 0..=64.
    pub strength: f32,
    /// Water or mud.
    pub kind: SpatterKind,
}

/// Drops of water or spots of mud on the glass.
///
/// Both are where blurred normal noise lies above the threshold. Mud: `x (1 - m) + brown m`, where m is the blurred mask,
/// 0 below 0.8. Water: `x + m turquoise`, where m rises with the noise and is brighter towards the lower right rim.
///
/// # Errors
/// A parameter out of its range.
///
/// # Source
/// Hendrycks and Dietterich 2019, spatter (an extra corruption there). Deviation: the original shades water by an edge
/// detector, a distance transform and histogram equalisation; here a directional difference of the noise does it.
pub fn spatter(image: &Image, spatter: Spatter, seed: u64) -> Result<Image> {
    at_least("spatter", "mean", spatter.mean, 0.0, 2.0)?;
    at_least("spatter", "std", spatter.std, 0.0, 2.0)?;
    at_least("spatter", "size", spatter.size, 0.0, 64.0)?;
    at_least("spatter", "threshold", spatter.threshold, 0.0, 2.0)?;
    at_least("spatter", "strength", spatter.strength, 0.0, 64.0)?;
    let (width, height) = (image.width(), image.height());
    let noise = Plane::normal(width, height, spatter.mean, spatter.std, Rng::keyed(&[seed]));
    let liquid = noise.blurred(spatter.size, 4.0, Edge::Nearest);
    let (mask, color) = match spatter.kind {
        SpatterKind::Mud => {
            let mut mask = liquid;
            mask.values.iter_mut().for_each(|v| *v = if *v > spatter.threshold { 1.0 } else { 0.0 });
            let mut mask = mask.blurred(spatter.strength, 4.0, Edge::Nearest);
            mask.values.iter_mut().for_each(|v| *v = if *v < 0.8 { 0.0 } else { *v });
            (mask, [63.0, 42.0, 20.0])
        }
        SpatterKind::Water => (water(&liquid, spatter)?, [175.0, 238.0, 238.0]),
    };
    let grey = f32::from(luma(color[0] as u8, color[1] as u8, color[2] as u8));
    let covers = if spatter.kind == SpatterKind::Mud { 1.0 } else { 0.0 };
    let mut out = image.clone();
    shade(&mut out, &mask, if image.channels() == 1 { [grey; 3] } else { color }, |m| 1.0 - covers * m);
    Ok(out)
}

/// Height above the threshold, shaded as if lit from the upper left, scaled so that the brightest place is `strength`.
fn water(liquid: &Plane, spatter: Spatter) -> Result<Plane> {
    if spatter.strength > 2.0 {
        let found = spatter.strength.to_string();
        return Err(parameter("spatter", "strength", "within 0..=2 for water", found));
    }
    let slope = [Tap { dx: -1, dy: -1, weight: -0.5 }, Tap { dx: 1, dy: 1, weight: 0.5 }];
    let shade = liquid.convolved(&slope, Edge::Nearest);
    let mut mask = Plane::filled(liquid.width, liquid.height, 0.0);
    for ((m, &v), &s) in mask.values.iter_mut().zip(&liquid.values).zip(&shade.values) {
        if v >= spatter.threshold {
            *m = (v - spatter.threshold + 0.02) * 0.5 + s.abs() + 0.5 * s.max(0.0);
        }
    }
    let most = mask.values.iter().copied().fold(0.0, f32::max);
    if most > 0.0 {
        mask.values.iter_mut().for_each(|m| *m *= spatter.strength / most);
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNOW: Snow =
        Snow { mean: 0.1, std: 0.3, zoom: 3.0, threshold: 0.5, radius: 10.0, sigma: 4.0, keep: 0.8 };
    const RAIN: Rain = Rain { drops: 4.0, length: 12.0, slant: 10.0, opacity: 0.6, dim: 0.2 };

    fn mean(image: &Image) -> f64 {
        image.pixels().iter().map(|&v| f64::from(v)).sum::<f64>() / image.pixels().len() as f64
    }

    #[test]
    fn weather_does_to_light_what_it_says() {
        let image = Image::filled(64, 48, 3, 90).unwrap();
        // The fog's scaling keeps the largest value.
        let foggy = fog(&image, 2.0, 2.0, 1).unwrap();
        assert!(foggy.pixels().iter().all(|&v| v <= 90));
        assert!(mean(&snow(&image, SNOW, 1).unwrap()) > 110.0);
        assert!(mean(&frost(&image, 0.7, 0.7, 1).unwrap()) > 110.0);
        let dry = rain(&image, Rain { drops: 0.0, ..RAIN }, 1).unwrap();
        assert_eq!(dry, Image::filled(64, 48, 3, 72).unwrap());
        let wet = rain(&image, RAIN, 1).unwrap();
        let hit = wet.pixels().iter().filter(|&&v| v != 72).count() as f64 / wet.pixels().len() as f64;
        // 12 drops of about 8.4 pixels on 3072 pixels cover 3.3 percent, some of it outside or overlapping.
        assert!((0.015..0.04).contains(&hit), "{hit}");
    }

    #[test]
    fn frost_is_bright_and_uneven() {
        let pattern = frost_pattern(128, 96, 3).unwrap();
        let n = pattern.values.len() as f32;
        let mean = pattern.values.iter().sum::<f32>() / n;
        let std = (pattern.values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt();
        assert!((0.35..0.65).contains(&mean) && std > 0.08, "mean {mean}, std {std}");
    }

    #[test]
    fn mud_darkens_and_water_brightens() {
        let image = Image::filled(64, 64, 3, 120).unwrap();
        let mud = Spatter {
            mean: 0.65,
            std: 0.3,
            size: 1.0,
            threshold: 0.65,
            strength: 1.5,
            kind: SpatterKind::Mud,
        };
        let water = Spatter { size: 2.0, threshold: 0.68, strength: 0.5, kind: SpatterKind::Water, ..mud };
        let (muddy, wet) = (spatter(&image, mud, 1).unwrap(), spatter(&image, water, 1).unwrap());
        assert!(mean(&muddy) < 119.0 && muddy.pixels().iter().all(|&v| v <= 120));
        assert!(mean(&wet) > 121.0 && wet.pixels().iter().all(|&v| v >= 120));
        // The mud's colour is reached where it lies thick.
        assert!(muddy.pixels().as_chunks::<3>().0.iter().any(|p| p[2] < 45));
        assert!(spatter(&image, Spatter { strength: 3.0, ..water }, 1).is_err());
    }

    #[test]
    fn parameters_out_of_range_are_errors() {
        let image = Image::filled(3, 3, 1, 9).unwrap();
        assert!(fog(&image, f32::NAN, 2.0, 0).is_err());
        assert!(fog(&image, 1.0, 0.5, 0).is_err());
        assert!(frost(&image, -0.1, 1.0, 0).is_err());
        assert!(snow(&image, Snow { zoom: 0.5, ..SNOW }, 0).is_err());
        assert!(snow(&image, Snow { radius: 0.0, ..SNOW }, 0).is_err());
        assert!(rain(&image, Rain { length: 0.0, ..RAIN }, 0).is_err());
    }
}
