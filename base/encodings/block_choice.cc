#include "base/encodings/block_choice.h"

#include <algorithm>

#include "base/encodings/entropy.h"

namespace cairn {

static constexpr size_t kSampleItems = 4096;
static constexpr size_t kStripItems = 256;
/// So few that gaps or bits are the smallest form, or nearly.
static constexpr size_t kFewOneIn = 16;
/// So many that gaps are no shorter than what else there is, and slower,
static constexpr size_t kManyOneIn = 4;
/// unless they are so few that the tables of others cost more.
static constexpr size_t kFewItems = 1024;
static constexpr uint64_t kGapsBytes = 9;     // of the form gaps, without its runs
static constexpr uint64_t kTablesBytes = 40;  // of the codes of quads and gaps

struct ResidualSample {
  std::array<ByteCounts, 8> planes;
  std::array<uint32_t, 3> small{};  ///< how many are 0, 1 and 2
};

template <class U>
static void count_small(ByteSpan items, std::array<uint32_t, 3>& small) {
  for (size_t at = 0; at < items.size(); at += sizeof(U)) {
    const U item = load_le<U>(items, at);
    small[0] += item == 0;
    small[1] += item == 1;
    small[2] += item == 2;
  }
}

/// Strips of the block that are spread evenly; a short block whole.
static Bytes sample_items(ByteSpan items, unsigned item_bytes) {
  const size_t count = items.size() / item_bytes;
  if (count <= 2 * kSampleItems) return {items.begin(), items.end()};
  constexpr size_t kStrips = kSampleItems / kStripItems;
  const size_t apart = (count - kStripItems) / (kStrips - 1);
  Bytes sample;
  sample.reserve(kSampleItems * item_bytes);
  for (size_t strip = 0; strip < kStrips; ++strip) {
    append_bytes(sample, items.subspan(strip * apart * item_bytes, kStripItems * item_bytes));
  }
  return sample;
}

static ResidualSample take_sample(ByteSpan residuals, unsigned item_bytes) {
  const Bytes items = sample_items(residuals, item_bytes);
  const size_t count = items.size() / item_bytes;
  ResidualSample sample;
  if (item_bytes == 8) {
    count_small<uint64_t>(items, sample.small);
  } else if (item_bytes == 4) {
    count_small<uint32_t>(items, sample.small);
  } else if (item_bytes == 2) {
    count_small<uint16_t>(items, sample.small);
  } else {
    count_small<uint8_t>(items, sample.small);
    count_bytes(items, sample.planes[0]);
    return sample;
  }
  Bytes planes(items.size());
  item_kernel().split(items.data(), count, item_bytes, planes.data(), count);
  for (size_t plane = 0; plane < item_bytes; ++plane) {
    count_bytes(ByteSpan(planes).subspan(plane * count, count), sample.planes[plane]);
  }
  return sample;
}

/// Planes of `count` items: those of the block that are at least `least` (0, 1 or 3), less `least`.
/// The subtraction moves the histogram of the lowest plane and is left out of the others.
struct PlanesEstimate {
  uint64_t bytes = 0;
  PlaneCodings codings{};
};
static PlanesEstimate estimate_planes(const ResidualSample& sample, unsigned item_bytes,
                                      uint64_t all_bits, uint32_t least, uint64_t count,
                                      Effort effort) {
  PlanesEstimate estimate;
  for (unsigned plane = 0; plane < item_bytes; ++plane) {
    if (all_bits >> 8 * plane == 0) {
      estimate.bytes += 2;
      continue;
    }
    ByteCounts counts = sample.planes[plane];
    for (uint32_t value = 0; value < least; ++value) {
      counts.of[plane == 0 ? value : 0] -= sample.small[value];
      counts.total -= sample.small[value];
    }
    RunEstimate run = {RunCoding::kPlain, count + 1};
    if (counts.total > 0) run = estimate_run(counts, count, effort);
    estimate.bytes += run.bytes;
    estimate.codings[plane] = run.coding;
  }
  return estimate;
}

/// The run of quads.
static uint64_t estimate_quads(const ResidualCounts& counts, uint64_t count, Effort effort) {
  const uint64_t larger = count - counts.zeros - counts.ones - counts.twos;
  const std::array<uint32_t, 4> parts = {
      static_cast<uint32_t>(counts.zeros), static_cast<uint32_t>(counts.ones),
      static_cast<uint32_t>(counts.twos), static_cast<uint32_t>(larger)};
  const uint64_t share = *std::max_element(parts.begin(), parts.end()) * kBit / count;
  const uint64_t four_alike = share * share / kBit * share / kBit * share / kBit;
  const uint64_t entropy = entropy_bits(parts, count);
  // Most bytes alike are coded as gaps, which come close to the entropy.
  if (four_alike * 4 >= kBit * 3) return entropy / (8 * kBit) * 17 / 16 + kTablesBytes;
  return estimate_coded(entropy, four_alike, kTablesBytes, ceil_div(count, 4), effort).bytes;
}

/// What the form gaps takes, and hardly less. Larger items are taken for one, and for two bits that
/// tell them apart.
static uint64_t least_gaps(const ResidualCounts& counts, uint64_t count, unsigned item_bytes,
                           Effort effort) {
  const uint64_t others = count - counts.zeros, larger = others - counts.ones - counts.twos;
  ByteCounts values;
  values.of[0] = static_cast<uint32_t>(counts.ones);
  values.of[1] = static_cast<uint32_t>(counts.twos);
  values.of[2] = static_cast<uint32_t>(larger);
  values.total = static_cast<uint32_t>(others);
  const uint64_t bytes =
      kGapsBytes + estimate_gaps(others, count, effort).bytes + 2 * (item_bytes - 1);
  if (values.of[most_frequent(values)] == others) return bytes + 2;
  return bytes + estimate_run(values, others, effort).bytes + larger / 4;
}

BlockChoice choose_form(ByteSpan residuals, ByteSpan prediction, ItemForm form,
                        const ResidualCounts& counts, Effort effort) {
  const unsigned item_bytes = form.bytes;
  const uint64_t count = residuals.size() / item_bytes;
  const uint64_t others = count - counts.zeros;
  const auto choose_sparse = [&](const BitsPlan& bits) -> BlockChoice {
    const bool are_bits = 1 + bits.bytes() <= least_gaps(counts, count, item_bytes, effort);
    return {are_bits ? BlockForm::kBits : BlockForm::kGaps, {}, bits};
  };
  if (others * kFewOneIn <= count) return choose_sparse(plan_bits(residuals, prediction, form));
  const uint64_t larger = others - counts.ones - counts.twos;
  const ResidualSample sample = take_sample(residuals, item_bytes);
  const auto planes_of = [&](uint32_t least, uint64_t items) {
    return estimate_planes(sample, item_bytes, counts.bits, least, items, effort);
  };

  const PlanesEstimate planes = planes_of(0, count);
  const uint64_t quads =
      estimate_quads(counts, count, effort) + (larger == 0 ? 0 : planes_of(3, larger).bytes);
  BlockChoice choice = {
      quads < planes.bytes ? BlockForm::kQuads : BlockForm::kPlanes, planes.codings, {}};
  if (others * kManyOneIn > count && others > kFewItems) return choice;
  choice.bits = plan_bits(residuals, prediction, form);
  const uint64_t gaps =
      kGapsBytes + estimate_gaps(others, count, effort).bytes + planes_of(1, others).bytes;
  const uint64_t sparse = std::min(gaps, 1 + choice.bits.bytes());
  // Both keep the encoding sparse, which loads fastest: they win when they lose by little.
  if (sparse - sparse / 32 > std::min(planes.bytes, quads)) return choice;
  return choose_sparse(choice.bits);
}

}  // namespace cairn
