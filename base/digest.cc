#include "base/digest.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/digest_tree.h"

namespace cairn {

static constexpr size_t kKernelsMax = 3;

struct KernelList {
  std::array<const DigestKernel*, kKernelsMax> kernels;
  std::array<const char*, kKernelsMax> names;
  size_t count = 0;

  KernelList() {
    add(kDigestPortable);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) add(kDigestAvx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw")) {
      add(kDigestAvx512);
    }
#endif
  }
  void add(const DigestKernel& kernel) {
    kernels[count] = &kernel;
    names[count++] = kernel.name;
  }
};

static const KernelList& kernel_list() {
  static const KernelList list;
  return list;
}

static std::atomic<const DigestKernel*>& chosen_kernel() {
  static std::atomic<const DigestKernel*> chosen = kernel_list().kernels[kernel_list().count - 1];
  return chosen;
}

static const DigestKernel& kernel() { return *chosen_kernel().load(std::memory_order_relaxed); }

std::span<const char* const> digest_kernels() {
  return {kernel_list().names.data(), kernel_list().count};
}

bool use_digest_kernel(std::string_view name) {
  const KernelList& list = kernel_list();
  for (size_t i = 0; i < list.count; ++i) {
    if (name != list.names[i]) continue;
    use_digest_kernel(*list.kernels[i]);
    return true;
  }
  return false;
}

void use_digest_kernel(const DigestKernel& kernel) {
  chosen_kernel().store(&kernel, std::memory_order_relaxed);
}

void Blake3::push_subtree(const Digest& value, uint64_t subtrees) {
  Digest merged = value;
  for (; (subtrees & 1) == 0; subtrees >>= 1) {
    hash_parent(stack_[--stack_size_], merged, false, merged);
  }
  stack_[stack_size_++] = merged;
}

/// Whole subtrees go to the lanes from where they lie; the last leaf waits, since it may be the
/// root.
void Blake3::update(ByteSpan part) {
  DigestWindow window(kernel());
  while (!part.empty()) {
    if (leaf_bytes_ == kLeafBytes || (leaf_bytes_ == 0 && part.size() > kLeafBytes)) {
      const bool is_buffered = leaf_bytes_ > 0;
      const uint64_t aligned = leaves_done_ == 0 ? DigestWindow::kLeavesMax
                                                 : uint64_t{1} << std::countr_zero(leaves_done_);
      const uint64_t leaves =
          is_buffered ? 1
                      : std::min<uint64_t>({aligned, DigestWindow::kLeavesMax,
                                            std::bit_floor((part.size() - 1) / kLeafBytes)});
      const size_t bytes = leaves * kLeafBytes;
      RowCursor input({is_buffered ? leaf_.data() : part.data(), bytes, 0, 1});
      Digest value;
      window.add(input, leaves_done_, leaves, false, value);
      window.finish();
      leaves_done_ += leaves;
      push_subtree(value, leaves_done_ / leaves);
      leaf_bytes_ = 0;
      if (!is_buffered) part = part.subspan(bytes);
      continue;
    }
    const size_t bytes = std::min(kLeafBytes - leaf_bytes_, part.size());
    std::memcpy(leaf_.data() + leaf_bytes_, part.data(), bytes);
    leaf_bytes_ += bytes;
    part = part.subspan(bytes);
  }
}

Digest Blake3::finish() const {
  Digest value;
  const DigestLane lane = {leaf_.data(),
                           value.bytes.data(),
                           leaves_done_,
                           static_cast<uint32_t>(leaf_bytes_),
                           0,
                           kDigestLeafStart,
                           kDigestLeafEnd | (stack_size_ == 0 ? uint32_t{kDigestRoot} : 0)};
  kDigestPortable.hash(&lane, 1);
  for (size_t i = stack_size_; i > 0; --i) hash_parent(stack_[i - 1], value, i == 1, value);
  return value;
}

/// An input of more leaves than a window, one window after the other.
static Digest hash_long(DigestWindow& window, RowCursor& input, uint64_t leaves) {
  std::array<Digest, 64> stack;
  size_t stack_size = 0;
  uint64_t done = 0;
  Digest value;
  for (; leaves - done > DigestWindow::kLeavesMax; done += DigestWindow::kLeavesMax) {
    window.add(input, done, DigestWindow::kLeavesMax, false, value);
    window.finish();
    for (uint64_t windows = done / DigestWindow::kLeavesMax + 1; (windows & 1) == 0;
         windows >>= 1) {
      hash_parent(stack[--stack_size], value, false, value);
    }
    stack[stack_size++] = value;
  }
  window.add(input, done, leaves - done, false, value);
  window.finish();
  for (; stack_size > 0; --stack_size) {
    hash_parent(stack[stack_size - 1], value, stack_size == 1, value);
  }
  return value;
}

static void hash_input(DigestWindow& window, const DigestInput& input, Digest& out) {
  RowCursor cursor(input);
  const uint64_t bytes = cursor.bytes_left();
  const uint64_t leaves = bytes == 0 ? 1 : ceil_div(bytes, kDigestLeafBytes);
  if (!window.has_room(leaves)) window.finish();
  if (leaves > DigestWindow::kLeavesMax) {
    out = hash_long(window, cursor, leaves);
  } else {
    window.add(cursor, 0, leaves, true, out);
  }
}

static DigestInput one_row(ByteSpan input) { return {input.data(), input.size(), 0, 1}; }

Digest blake3(ByteSpan input) { return blake3_rows(input.data(), input.size(), 0, 1); }

Digest blake3_rows(const uint8_t* first, uint64_t row_bytes, int64_t stride_bytes, uint64_t rows) {
  DigestWindow window(kernel());
  Digest digest;
  hash_input(window, {first, row_bytes, stride_bytes, rows}, digest);
  window.finish();
  return digest;
}

void blake3_many(std::span<const ByteSpan> inputs, std::span<Digest> out) {
  DigestWindow window(kernel());
  for (size_t i = 0; i < inputs.size(); ++i) hash_input(window, one_row(inputs[i]), out[i]);
  window.finish();
}

void blake3_many(std::span<const DigestInput> inputs, std::span<Digest> out) {
  DigestWindow window(kernel());
  for (size_t i = 0; i < inputs.size(); ++i) hash_input(window, inputs[i], out[i]);
  window.finish();
}

}  // namespace cairn
