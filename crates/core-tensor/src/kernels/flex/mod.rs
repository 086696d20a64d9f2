//! Implementations for burn's CPU backend: one pass for statistics, one for
//! the output, vectorised for the CPU at run time and spread over rayon.
//!
//! Results don't depend on the number of threads: reductions are cut into
//! parts by shape alone and merged in order.

pub(super) mod batch_norm;
pub(super) mod conv;
mod cut;
pub(super) mod group_norm;
mod moments;
mod scatter;
mod width;

use std::mem::MaybeUninit;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use pulp::{Simd, WithSimd};
use width::Width;

/// Elements that a reduction takes at a time: they stay in the first cache, so
/// that several passes over them cost one pass over memory.
const BLOCK: usize = 4096;

/// The least work worth handing to another thread.
const GRAIN: usize = 16 * 1024;

/// Runs `f`, compiled for the vector instructions of this CPU if it is
/// `#[inline(always)]`.
///
/// It is called by reference: a closure that is called by value goes through a
/// shim that nothing makes the compiler inline.
#[inline(always)]
fn vectorised<R>(width: Width, f: impl FnMut() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnMut() -> R> WithSimd for Work<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _simd: S) -> R {
            (self.0)()
        }
    }
    width.run(Work(f))
}

/// A tensor as one slice; `None` when its elements don't lie in order.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The elements of a tensor that [`contiguous`] returned.
fn elements(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().unwrap_or_default()
}

fn tensor(data: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    let layout = Layout::contiguous(shape.into());
    FlexTensor::new(Bytes::from_elems(data), layout, DType::F32)
}

/// A vector of `len` elements that `fill` writes.
///
/// # Safety
/// `fill` must write every element.
#[allow(unsafe_code)]
unsafe fn filled(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut data = Vec::with_capacity(len);
    fill(&mut data.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is at least `len`, and the caller promises that
    // `fill` has written all of them.
    unsafe { data.set_len(len) };
    data
}
