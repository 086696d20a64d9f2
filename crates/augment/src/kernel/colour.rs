//! Changing values by themselves, and colours by themselves.

use super::bytes::look_up;
use super::pixels::Element;
use super::simd::{PATTERN, pattern, vectorised};

/// Changes every value by itself.
pub(crate) fn map_values<T: Copy>(data: &mut [T], f: impl Fn(T) -> T) {
    vectorised(
        #[inline(always)]
        move || data.iter_mut().for_each(|value| *value = f(*value)),
    );
}

/// Changes every value by itself, knowing two constants `of(channel)`.
pub(crate) fn map_channels<T: Copy>(
    data: &mut [T],
    channels: usize,
    of: impl Fn(usize) -> [f32; 2],
    f: impl Fn(T, [f32; 2]) -> T,
) {
    let Some(constants) = pattern(channels, &of) else {
        for (i, value) in data.iter_mut().enumerate() {
            *value = f(*value, of(i % channels));
        }
        return;
    };
    vectorised(
        #[inline(always)]
        || {
            let (blocks, rest) = data.as_chunks_mut::<PATTERN>();
            for block in blocks.iter_mut().map(<[T; PATTERN]>::as_mut_slice) {
                for ((value, a), b) in block.iter_mut().zip(&constants[0]).zip(&constants[1]) {
                    *value = f(*value, [*a, *b]);
                }
            }
            for ((value, a), b) in rest.iter_mut().zip(&constants[0]).zip(&constants[1]) {
                *value = f(*value, [*a, *b]);
            }
        },
    );
}

/// [`map_channels`] into another slice of the same length.
pub(crate) fn convert_channels<T: Copy, U: Copy>(
    source: &[T],
    target: &mut [U],
    channels: usize,
    of: impl Fn(usize) -> [f32; 2],
    f: impl Fn(T, [f32; 2]) -> U,
) {
    let Some([first, second]) = pattern(channels, &of) else {
        for (i, (value, out)) in source.iter().zip(target).enumerate() {
            *out = f(*value, of(i % channels));
        }
        return;
    };
    vectorised(
        #[inline(always)]
        || {
            for (values, out) in source.chunks(PATTERN).zip(target.chunks_mut(PATTERN)) {
                for (((value, out), a), b) in values.iter().zip(out).zip(&first).zip(&second) {
                    *out = f(*value, [*a, *b]);
                }
            }
        },
    );
}

/// The smallest and the largest value of each channel.
pub(crate) fn ranges<T: Element + PartialOrd>(
    data: &[T],
    channels: usize,
) -> impl Iterator<Item = [T; 2]> {
    let first = data.first().copied().unwrap_or(T::from_f32(0.0));
    let whole = PATTERN.is_multiple_of(channels.max(1));
    // Lanes without a value of their own start with the first of their channel.
    let start: [T; PATTERN] = std::array::from_fn(|lane| {
        let own = data.get(lane).or_else(|| data.get(lane % channels.max(1)));
        own.copied().unwrap_or(first)
    });
    let (mut low, mut high) = (start, start);
    if whole {
        vectorised(
            #[inline(always)]
            || {
                for block in data.chunks(PATTERN) {
                    for ((value, low), high) in block.iter().zip(&mut low).zip(&mut high) {
                        *low = if *value < *low { *value } else { *low };
                        *high = if *value > *high { *value } else { *high };
                    }
                }
            },
        );
    }
    let least = |a: T, b: T| if b < a { b } else { a };
    let most = |a: T, b: T| if b > a { b } else { a };
    (0..channels).map(move |c| {
        let lanes = |lanes: &[T], f: fn(T, T) -> T| {
            lanes
                .iter()
                .skip(c)
                .step_by(channels)
                .copied()
                .reduce(f)
                .unwrap_or(first)
        };
        if whole {
            [lanes(&low, least), lanes(&high, most)]
        } else {
            [lanes(data, least), lanes(data, most)]
        }
    })
}

/// Pixels that are worked on at a time: their channels lie in the first cache.
const BLOCK: usize = 256;

/// The colours of a block of pixels, channel by channel.
type Planes<V> = [[V; BLOCK]; 3];

/// Changes every colour by itself; a fourth channel stays.
pub(crate) fn map_colours<T: Element>(
    data: &mut [T],
    channels: usize,
    f: impl Fn([f32; 3]) -> [f32; 3] + Copy,
    to: impl Fn(f32) -> T + Copy,
) {
    match channels {
        3 => map_pixels::<T, 3>(data, f, to),
        4 => map_pixels::<T, 4>(data, f, to),
        _ => debug_assert!(false, "colours have three channels"),
    }
}

fn map_pixels<T: Element, const C: usize>(
    data: &mut [T],
    f: impl Fn([f32; 3]) -> [f32; 3] + Copy,
    to: impl Fn(f32) -> T + Copy,
) {
    let mut planes = [[T::from_f32(0.0); BLOCK]; 3];
    for block in data.as_chunks_mut::<C>().0.chunks_mut(BLOCK) {
        load(block, &mut planes);
        let colours = &mut planes;
        // By value: what lies behind a reference could be what is written.
        vectorised(
            #[inline(always)]
            move || change(colours, f, to),
        );
        store(&planes, block);
    }
}

/// Replaces the three channels of pixels of three by one value.
pub(crate) fn map_to_grey<T: Element>(data: &mut [T], f: impl Fn([f32; 3]) -> T + Copy) {
    let mut planes = [[T::from_f32(0.0); BLOCK]; 3];
    for block in data.as_chunks_mut::<3>().0.chunks_mut(BLOCK) {
        load(block, &mut planes);
        let [reds, greens, blues] = &mut planes;
        vectorised(
            #[inline(always)]
            move || {
                for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
                    *red = f([red.to_f32(), green.to_f32(), blue.to_f32()]);
                }
            },
        );
        let [grey, ..] = &planes;
        let pixels = block.as_flattened_mut().as_chunks_mut().0;
        T::interleave([grey; 3], pixels);
    }
}

#[inline(always)]
fn change<T: Element>(
    planes: &mut Planes<T>,
    f: impl Fn([f32; 3]) -> [f32; 3],
    to: impl Fn(f32) -> T,
) {
    let [reds, greens, blues] = planes;
    for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
        let [r, g, b] = f([red.to_f32(), green.to_f32(), blue.to_f32()]);
        (*red, *green, *blue) = (to(r), to(g), to(b));
    }
}

fn load<T: Element, const C: usize>(pixels: &[[T; C]], planes: &mut Planes<T>) {
    let [reds, greens, blues] = planes;
    if C == 3 {
        let pixels = pixels.as_flattened().as_chunks().0;
        return T::deinterleave(pixels, [reds, greens, blues]);
    }
    for (((pixel, red), green), blue) in pixels.iter().zip(reds).zip(greens).zip(blues) {
        (*red, *green, *blue) = (pixel[0], pixel[1], pixel[2]);
    }
}

fn store<T: Element, const C: usize>(planes: &Planes<T>, pixels: &mut [[T; C]]) {
    let [reds, greens, blues] = planes;
    if C == 3 {
        let pixels = pixels.as_flattened_mut().as_chunks_mut().0;
        return T::interleave([reds, greens, blues], pixels);
    }
    for (((pixel, red), green), blue) in pixels.iter_mut().zip(reds).zip(greens).zip(blues) {
        (pixel[0], pixel[1], pixel[2]) = (*red, *green, *blue);
    }
}

/// `f` of every colour, summed. Each value of `f` counts as a `f32`; the sum
/// of a block as well, those of all blocks as `f64`.
pub(crate) fn sum_colours<T: Element>(
    data: &[T],
    channels: usize,
    f: impl Fn([f32; 3]) -> f32,
) -> f64 {
    match channels {
        3 => sum_pixels::<T, 3>(data, f),
        4 => sum_pixels::<T, 4>(data, f),
        _ => data
            .chunks_exact(channels)
            .map(|p| f64::from(f([p[0], p[1], p[2]].map(T::to_f32))))
            .sum(),
    }
}

fn sum_pixels<T: Element, const C: usize>(data: &[T], f: impl Fn([f32; 3]) -> f32) -> f64 {
    const LANES: usize = 16;
    const PART: usize = 64;
    let (blocks, rest) = data.as_chunks::<C>().0.as_chunks::<BLOCK>();
    let mut planes = [[T::from_f32(0.0); BLOCK]; 3];
    let mut total = 0.0_f64;
    for block in blocks {
        load(block, &mut planes);
        vectorised(
            #[inline(always)]
            || {
                for part in (0..BLOCK).step_by(PART) {
                    let mut sums = [0.0_f32; LANES];
                    for j in 0..PART / LANES {
                        for (i, sum) in sums.iter_mut().enumerate() {
                            let i = part + j * LANES + i;
                            *sum += f(planes.each_ref().map(|plane| plane[i].to_f32()));
                        }
                    }
                    total += f64::from(sums.iter().sum::<f32>());
                }
            },
        );
    }
    let colour = |p: &[T; C]| f64::from(f([p[0], p[1], p[2]].map(T::to_f32)));
    total + rest.iter().map(colour).sum::<f64>()
}

/// Sums each channel of bytes into `sums`, which has one per channel.
pub(crate) fn sum_channels(data: &[u8], sums: &mut [u64]) {
    let channels = sums.len();
    sums.fill(0);
    if channels == 3 {
        let mut planes = [[0; BLOCK]; 3];
        for block in data.as_chunks::<3>().0.chunks(BLOCK) {
            load(block, &mut planes);
            for (sum, plane) in sums.iter_mut().zip(&planes) {
                *sum += u64::from(sum_bytes(&plane[..block.len()]));
            }
        }
    } else if channels == 1 {
        let blocks = data.chunks(BLOCK).map(|block| u64::from(sum_bytes(block)));
        sums[0] = blocks.sum();
    } else {
        for pixel in data.chunks_exact(channels.max(1)) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(value);
            }
        }
    }
}

fn sum_bytes(bytes: &[u8]) -> u32 {
    vectorised(
        #[inline(always)]
        || bytes.iter().map(|&value| u32::from(value)).sum(),
    )
}

/// [`look_up`] with a table per channel.
pub(crate) fn look_up_channels(data: &mut [u8], tables: &[[u8; 256]]) {
    match tables {
        [table] => look_up(data, table),
        [r, g, b] => {
            for pixel in data.as_chunks_mut::<3>().0 {
                let [x, y, z] = pixel.map(usize::from);
                *pixel = [r[x], g[y], b[z]];
            }
        }
        _ => {
            for pixel in data.chunks_exact_mut(tables.len().max(1)) {
                for (byte, table) in pixel.iter_mut().zip(tables) {
                    *byte = table[usize::from(*byte)];
                }
            }
        }
    }
}

/// How often each byte occurs in a channel.
pub(crate) type Counts = [u32; 256];

/// Counts the bytes of each channel into `counts`, which has one per channel.
pub(crate) fn count_channels(data: &[u8], counts: &mut [Counts]) {
    counts.iter_mut().for_each(|counts| counts.fill(0));
    match counts {
        [r, g, b] => {
            // Equal neighbours would wait for each other in one table.
            let mut second = [[0_u32; 256]; 3];
            let (pairs, rest) = data.as_chunks::<6>();
            let [r2, g2, b2] = &mut second;
            for &[a, b1, c, d, e, f] in pairs {
                r[usize::from(a)] += 1;
                g[usize::from(b1)] += 1;
                b[usize::from(c)] += 1;
                r2[usize::from(d)] += 1;
                g2[usize::from(e)] += 1;
                b2[usize::from(f)] += 1;
            }
            let all = [&mut *r, g, b];
            for (counts, more) in all.into_iter().zip(&second) {
                counts.iter_mut().zip(more).for_each(|(a, b)| *a += b);
            }
            for (i, &value) in rest.iter().enumerate() {
                counts[i % 3][usize::from(value)] += 1;
            }
        }
        _ => {
            for pixel in data.chunks_exact(counts.len().max(1)) {
                for (&value, counts) in pixel.iter().zip(counts.iter_mut()) {
                    counts[usize::from(value)] += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 37 % 251) as u8).collect()
    }

    #[test]
    fn blocks_and_what_is_left_of_them_are_changed_alike() {
        for (channels, pixels) in [(3, 1), (3, 64), (3, 131), (4, 200)] {
            let before = bytes(channels * pixels);
            let mut after = before.clone();
            let swap = |[r, g, b]: [f32; 3]| [b, g + 1.0, r];
            map_colours(&mut after, channels, swap, u8::from_f32);
            for (a, b) in before.chunks(channels).zip(after.chunks(channels)) {
                assert_eq!(b[..3], [a[2], a[1] + 1, a[0]]);
                assert_eq!(a[3..], b[3..]);
            }
        }
    }

    #[test]
    fn grey_pixels_have_one_value() {
        for n in [1, 255, 256, 700] {
            let before = bytes(3 * n);
            let mut after = before.clone();
            map_to_grey(&mut after, |[r, g, b]| u8::from_f32((r + g + b) / 3.0));
            for (a, b) in before.chunks(3).zip(after.chunks(3)) {
                let mean = (f32::from(a[0]) + f32::from(a[1]) + f32::from(a[2])) / 3.0;
                assert_eq!(b, [mean.round_ties_even() as u8; 3]);
            }
        }
    }

    #[test]
    fn sums_are_those_of_a_loop() {
        let data = bytes(3 * 20_011);
        let mut sums = [9; 3];
        sum_channels(&data, &mut sums);
        for (c, &sum) in sums.iter().enumerate() {
            let each = data.iter().skip(c).step_by(3).map(|&v| u64::from(v));
            assert_eq!(sum, each.sum::<u64>());
        }
        let red: f64 = sum_colours(&data, 3, |[r, _, _]| r);
        assert_eq!(red, sums[0] as f64);
        let mut five = [0; 5];
        sum_channels(&bytes(50), &mut five);
        let all: u64 = bytes(50).into_iter().map(u64::from).sum();
        assert_eq!(five.iter().sum::<u64>(), all);
    }

    #[test]
    fn counts_are_those_of_a_loop() {
        for channels in [1, 2, 3, 4] {
            let data = bytes(channels * 101);
            let mut counts = vec![[7; 256]; channels];
            count_channels(&data, &mut counts);
            for (c, counts) in counts.iter().enumerate() {
                for value in 0..=255 {
                    let there = data.iter().skip(c).step_by(channels);
                    let n = there.filter(|&&v| v == value).count();
                    assert_eq!(counts[usize::from(value)] as usize, n);
                }
            }
        }
    }

    #[test]
    fn ranges_are_those_of_a_loop() {
        for (channels, pixels) in [(1, 3), (3, 2), (3, 100), (5, 30)] {
            let data = bytes(channels * pixels);
            for (c, [low, high]) in ranges(&data, channels).enumerate() {
                let each = || data.iter().skip(c).step_by(channels);
                assert_eq!((Some(&low), Some(&high)), (each().min(), each().max()));
            }
        }
    }

    #[test]
    fn constants_follow_their_channels() {
        for channels in [1, 3, 5, 7] {
            let mut data = vec![1.0_f32; channels * 70];
            let of = |c: usize| [c as f32, 2.0];
            let mut other = data.clone();
            convert_channels(&data, &mut other, channels, of, |v, [a, b]| v + a * b);
            map_channels(&mut data, channels, of, |v, [a, b]| v + a * b);
            assert_eq!(data, other);
            for (i, v) in data.iter().enumerate() {
                assert_eq!(*v, 1.0 + 2.0 * (i % channels) as f32);
            }
        }
    }
}
