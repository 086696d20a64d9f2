//! Integers of the host that travel through module records as a tensor, and
//! cells that only mappers which ask for them see.

use burn::module::{Flag, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// The words of a cell as an int parameter on a host backend: two `i32` per
/// word, low half first, because not every backend has 64-bit integers.
///
/// Lazy: the tensor is made only for visitors and mappers that look at it, so
/// an optimiser that maps the whole model does not pay for the cells.
pub(crate) fn to_param<const N: usize>(id: ParamId, words: [u64; N]) -> Param<Tensor<1, Int>> {
    Param::uninitialized(
        id,
        move |device, _| to_tensor(words, device),
        host_device(),
        false,
        [2 * N].into(),
    )
}

/// The words as halves in an int tensor.
pub fn to_tensor<const N: usize>(words: [u64; N], device: &Device) -> Tensor<1, Int> {
    let halves: Vec<i32> = words
        .iter()
        .flat_map(|word| [*word as u32 as i32, (*word >> 32) as u32 as i32])
        .collect();
    Tensor::from_data(TensorData::new(halves, [2 * N]), (device, DType::I32))
}

/// The words of a tensor of halves; `None` when it holds another number.
pub fn to_words<const N: usize>(tensor: Tensor<1, Int>) -> Option<[u64; N]> {
    let halves = tensor.try_into_vec_as::<i32>().ok()?;
    if halves.len() != 2 * N {
        return None;
    }
    let mut words = [0; N];
    for (word, half) in words.iter_mut().zip(halves.chunks_exact(2)) {
        *word = u64::from(half[0] as u32) | u64::from(half[1] as u32) << 32;
    }
    Some(words)
}

/// The words of a parameter that a mapper returned; `None` when the mapper
/// never looked at it or gave it another length.
fn from_param<const N: usize>(param: Param<Tensor<1, Int>>) -> (ParamId, Option<[u64; N]>) {
    let id = param.id;
    let words = param.is_initialized().then(|| to_words(param.val()));
    (id, words.flatten())
}

/// Shows the words to a visitor as the int tensor `state` inside a module of
/// the type `container`.
pub(crate) fn visit<V: ModuleVisitor, const N: usize>(
    visitor: &mut V,
    container: &str,
    id: ParamId,
    words: [u64; N],
) {
    visitor.enter_module("state", container);
    visitor.visit_int(&to_param(id, words));
    visitor.exit_module("state", container);
}

/// Hands the words to a mapper, as [`visit`] does, and returns what it made of
/// them: unchanged words unless it returned as many.
pub(crate) fn map<M: ModuleMapper, const N: usize>(
    mapper: &mut M,
    container: &str,
    id: ParamId,
    words: [u64; N],
) -> (ParamId, [u64; N]) {
    mapper.enter_module("state", container);
    let (id, mapped) = from_param(mapper.map_int(to_param(id, words)));
    mapper.exit_module("state", container);
    (id, mapped.unwrap_or(words))
}

/// The ids of a question and its answer: a hidden cell asks every mapper
/// through `map_flag`, and shows itself to those that answer. Random ids of
/// burn don't collide with them but by a chance of 2^-64 each.
const QUESTION: u64 = 0x6669_7265_6872_6166;
const ANSWER: u64 = 0x6372_6166_7468_6964;

/// Whether a mapper wants to see cells that are left out of records.
pub(crate) fn wanted<M: ModuleMapper>(mapper: &mut M) -> bool {
    let question = Param::initialized(ParamId::from(QUESTION), Flag::new(false));
    mapper.map_flag(question).id == ParamId::from(ANSWER)
}

/// Answers the question of a hidden cell; other flags pass unchanged. To be
/// called in `map_flag` by a mapper that reads or sets cells which are left
/// out of records, such as [`CountCell::unrecorded`](crate::CountCell).
#[must_use]
pub fn reveal(flag: Param<Flag>) -> Param<Flag> {
    if flag.id == ParamId::from(QUESTION) {
        Param::initialized(ParamId::from(ANSWER), Flag::new(false))
    } else {
        flag
    }
}

/// A device whose tensors are plain host memory, where one is compiled in.
fn host_device() -> Device {
    #[cfg(feature = "flex")]
    {
        Device::flex()
    }
    #[cfg(all(feature = "ndarray", not(feature = "flex")))]
    #[allow(deprecated)]
    {
        Device::ndarray()
    }
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    {
        Device::default()
    }
}
