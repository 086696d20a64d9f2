//! The block function and the quantile, written for vector units.
//!
//! The arithmetic is that of `firecraft_key`; only its order over independent
//! elements and the selection between branches differ.

use firecraft_key::convert::{
    CENTRE_DENOMINATOR, CENTRE_LIMIT, CENTRE_NUMERATOR, TAIL_DENOMINATOR, TAIL_NUMERATOR, ln,
    polynomial,
};
use firecraft_key::philox::{MULTIPLIERS, ROUNDS, WEYL};

/// Blocks computed side by side.
const LANES: usize = 16;
/// Words that one call of [`words`] makes.
pub(super) const GROUP: usize = 4 * LANES;

/// The words of blocks `first_block .. first_block + 16` of a key's stream.
#[inline(always)]
pub(super) fn words(key: [u64; 2], first_block: u64, out: &mut [u32; GROUP]) {
    let nonce = key[1];
    let mut c0 = [0_u32; LANES];
    let mut c1 = [0_u32; LANES];
    let mut c2 = [nonce as u32; LANES];
    let mut c3 = [(nonce >> 32) as u32; LANES];
    for lane in 0..LANES {
        let index = first_block.wrapping_add(lane as u64);
        c0[lane] = index as u32;
        c1[lane] = (index >> 32) as u32;
    }
    let (mut k0, mut k1) = (key[0] as u32, (key[0] >> 32) as u32);
    for _ in 0..ROUNDS {
        for lane in 0..LANES {
            let left = u64::from(MULTIPLIERS[0]) * u64::from(c0[lane]);
            let right = u64::from(MULTIPLIERS[1]) * u64::from(c2[lane]);
            c0[lane] = (right >> 32) as u32 ^ c1[lane] ^ k0;
            c1[lane] = right as u32;
            c2[lane] = (left >> 32) as u32 ^ c3[lane] ^ k1;
            c3[lane] = left as u32;
        }
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    for lane in 0..LANES {
        out[4 * lane] = c0[lane];
        out[4 * lane + 1] = c1[lane];
        out[4 * lane + 2] = c2[lane];
        out[4 * lane + 3] = c3[lane];
    }
}

/// `convert::normal`, without a branch.
#[inline(always)]
pub(super) fn normal(word: u32) -> f32 {
    let tail = ((word & 0x7fff_ffff) as f32 + 0.5) * (1.0 / 4_294_967_296.0);
    let magnitude = upper_quantile(tail);
    f32::from_bits(magnitude.to_bits() | word & 0x8000_0000)
}

/// `convert::upper_quantile` with both branches computed and one division:
/// selecting the operands of a division gives the bits of selecting its result.
#[inline(always)]
pub(super) fn upper_quantile(tail: f32) -> f32 {
    let centre = 0.5 - tail;
    let inner = 0.180_625 - centre * centre;
    // The hardware's square root is the correctly rounded one of `convert`.
    let outer = (-ln(tail)).sqrt() - 1.6;
    let (numerator, denominator) = if centre <= CENTRE_LIMIT {
        (
            centre * polynomial(&CENTRE_NUMERATOR, inner),
            polynomial(&CENTRE_DENOMINATOR, inner),
        )
    } else {
        (
            polynomial(&TAIL_NUMERATOR, outer),
            polynomial(&TAIL_DENOMINATOR, outer),
        )
    };
    numerator / denominator
}
