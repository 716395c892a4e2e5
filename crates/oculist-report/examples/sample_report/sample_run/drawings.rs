//! Invented 28 by 28 pictures of clothes, and a minimal PNG writer.

use super::Noise;

const SIDE: usize = 28;

/// A picture of one of the ten kinds of clothes, as the bytes of a PNG file.
pub(super) fn garment(class: usize, noise: &mut Noise) -> Vec<u8> {
    png(&pixels(class, noise))
}

/// The same picture, mirrored and shifted.
pub(super) fn moved(class: usize, noise: &mut Noise, shift: &mut Noise) -> Vec<u8> {
    let original = pixels(class, noise);
    let (dx, dy) = ((shift.next() * 7.0) as isize - 3, (shift.next() * 7.0) as isize - 3);
    let mut image = vec![0; SIDE * SIDE];
    for y in 0..SIDE as isize {
        for x in 0..SIDE as isize {
            let (from_x, from_y) = (SIDE as isize - 1 - (x + dx), y + dy);
            let inside = (0..SIDE as isize).contains(&from_x) && (0..SIDE as isize).contains(&from_y);
            if inside {
                image[(y * SIDE as isize + x) as usize] =
                    original[(from_y * SIDE as isize + from_x) as usize];
            }
        }
    }
    png(&image)
}

fn pixels(class: usize, noise: &mut Noise) -> Vec<u8> {
    let shade = 120.0 + 110.0 * noise.next();
    let wide = 0.9 + 0.25 * noise.next();
    let mut image = vec![0; SIDE * SIDE];
    for y in 0..SIDE {
        for x in 0..SIDE {
            // Centred coordinates in -1..1.
            let (u, v) = ((x as f64 - 13.5) / 13.5 / wide, (y as f64 - 13.5) / 13.5);
            if inside(class, u, v) {
                let weave = 22.0 * ((x * 3 + y * 2) as f64 * 0.7).sin() + 18.0 * noise.next();
                image[y * SIDE + x] = (shade + weave - 30.0 * u.abs()).clamp(20.0, 255.0) as u8;
            }
        }
    }
    image
}

fn inside(class: usize, u: f64, v: f64) -> bool {
    let a = u.abs();
    let torso = a < 0.48 && (-0.85..0.9).contains(&v) && !(a < 0.2 && v < -0.7);
    let long_sleeve =
        a < 0.85 && a > 0.4 && v > -0.85 + (a - 0.4) * 0.5 && v < 0.8 && a < 0.62 + (v + 0.85) * 0.16;
    let short_sleeve = a < 0.9 && v > -0.85 + (a - 0.4) * 0.5 && v < -0.25;
    match class {
        0 => torso || (a >= 0.4 && short_sleeve),
        1 => a < 0.42 && (-0.95..0.95).contains(&v) && !(a < 0.07 && v > -0.4),
        2 | 6 => torso || long_sleeve,
        3 => a < 0.26 + (v + 0.4).max(0.0) * 0.22 && (-0.95..0.95).contains(&v),
        4 => (torso && a > 0.025) || long_sleeve,
        5 => {
            (v > 0.35 && v < 0.55 && u > -0.95 && u < 0.9)
                || ((u * 1.3 + v).abs() < 0.13 && v > -0.5 && v < 0.4)
        }
        7 => v > -0.15 + u * 0.4 * f64::from(u > -0.2) - 0.1 && v < 0.5 && a < 0.95 && v > -0.3,
        8 => {
            (a < 0.75 && v > -0.2 && v < 0.8)
                || ((u * u + (v + 0.2) * (v + 0.2)).sqrt() - 0.5).abs() < 0.07 && v < -0.1
        }
        _ => {
            (u > -0.75 && u < 0.05 && v > -0.85 && v < 0.7)
                || (v > 0.15 + u * 0.2 && v < 0.7 && u > -0.75 && u < 0.9)
        }
    }
}

/// An 8-bit grey PNG, its data stored without compression.
fn png(pixels: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    for row in pixels.chunks(SIDE) {
        raw.push(0);
        raw.extend_from_slice(row);
    }
    let length = raw.len() as u16;
    let mut zlib = vec![0x78, 0x01, 1];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend_from_slice(&raw);
    zlib.extend(adler(&raw).to_be_bytes());

    let mut header = Vec::new();
    header.extend((SIDE as u32).to_be_bytes());
    header.extend((SIDE as u32).to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);

    let mut file = vec![0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    for (name, data) in [(b"IHDR", &header), (b"IDAT", &zlib), (b"IEND", &Vec::new())] {
        file.extend((data.len() as u32).to_be_bytes());
        let start = file.len();
        file.extend_from_slice(name);
        file.extend_from_slice(data);
        let sum = crc(&file[start..]);
        file.extend(sum.to_be_bytes());
    }
    file
}

fn adler(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |mut sum, &byte| {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
        sum
    })
}
