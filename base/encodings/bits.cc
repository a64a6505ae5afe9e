#include "base/encodings/bits.h"

#include "base/encodings/bit_stream.h"
#include "base/encodings/bits_code.h"
#include "base/encodings/block_scratch.h"
#include "base/encodings/item_scalar.h"

namespace cairn {

/// With fewer items than this to tell, classes would cost more than they save.
static constexpr size_t kSortedLeast = 16;

namespace {

/// A number of low bits, and how many bits a stream has with it.
struct Candidate {
  unsigned low = 0;
  uint64_t bits = ~uint64_t{0};

  void take_smaller(const Candidate& other) {
    if (other.bits < bits) *this = other;
  }
};

Candidate best_for_gaps(std::span<const uint16_t> gaps) {
  size_t zeros = 0;
  for (const uint16_t gap : gaps) zeros += gap;
  // Of gaps that come by chance, ln 2 of the mean is best, rounded up or down to a power of two.
  const unsigned near = width_of(static_cast<uint32_t>(zeros * 45 / 64 / gaps.size()));
  Candidate best;
  for (unsigned low = near < 2 ? 0 : near - 2; low <= near; ++low) {
    uint32_t high = 0;
    for (const uint16_t gap : gaps) high += static_cast<uint32_t>(gap) >> low;
    best.take_smaller({low, high + gaps.size() * (1 + low)});
  }
  return best;
}

template <class U>
Candidate best_for_values(ByteSpan residuals, std::span<const uint16_t> numbers) {
  std::array<uint32_t, 8 * sizeof(U) + 1> of_width{};
  for (const size_t number : numbers) {
    const U item = load<U>(residuals.data() + number * sizeof(U));
    ++of_width[width_of(static_cast<U>(item - 1))];
  }
  Candidate best;
  size_t larger = numbers.size();  // than what `low` bits hold
  for (unsigned low = 0; low < 8 * sizeof(U) && larger > 0; ++low) {
    uint64_t bits = numbers.size() * (1 + low);
    for (unsigned width = low + 1; width < of_width.size(); ++width) {
      bits += uint64_t{of_width[width]} * (2 * (width - low) - 1);
    }
    best.take_smaller({low, bits});
    larger -= of_width[low];
  }
  return best;
}

/// One class: the numbers are in order, and gaps lie between them.
void find_gaps(BitsPlan& plan, std::span<const uint16_t> numbers) {
  uint16_t* const gaps = block_scratch().others_gaps.data();
  size_t next = 0;  // the item after the last one
  for (size_t i = 0; i < numbers.size(); ++i) {
    gaps[i] = static_cast<uint16_t>(numbers[i] - next);
    next = numbers[i] + size_t{1};
  }
  plan.of_class[0].items = static_cast<uint32_t>(numbers.size());
  plan.numbers = numbers;
  plan.gaps = {gaps, numbers.size()};
}

/// Deals numbers, which are in order, out to their classes, and finds the gaps in each.
void sort_by_class(BitsPlan& plan, std::span<const uint16_t> numbers, ByteSpan prediction,
                   unsigned item_bytes) {
  BlockScratch& scratch = block_scratch();
  const ClassMarks& marks = mark_classes(plan.classes, prediction, item_bytes);
  size_t sorted = 0;
  for (unsigned c = 0; c < plan.classes.count; ++c) {
    const size_t begin = sorted;
    for (const size_t number : numbers) {
      scratch.sorted[sorted] = static_cast<uint16_t>(number);  // stays if it is one of the class
      sorted += marks.words[c][number / 64] >> number % 64 & 1;
    }
    size_t next = 0;  // the item of the class after the last one
    for (size_t i = begin; i < sorted; ++i) {
      const size_t number = scratch.sorted[i], word = number / 64;
      const uint64_t below = marks.words[c][word] & ((uint64_t{1} << number % 64) - 1);
      const size_t place = marks.before[c][word] + static_cast<size_t>(std::popcount(below));
      scratch.others_gaps[i] = static_cast<uint16_t>(place - next);
      next = place + 1;
    }
    plan.of_class[c].items = static_cast<uint32_t>(sorted - begin);
  }
  plan.numbers = {scratch.sorted.data(), sorted};
  plan.gaps = {scratch.others_gaps.data(), sorted};
}

void choose_codes(BitsPlan& plan, ByteSpan residuals, unsigned item_bytes) {
  const Candidate values = with_item_type(item_bytes, [&](auto item) {
    return best_for_values<decltype(item)>(residuals, plan.numbers);
  });
  plan.value_low = values.low;
  uint64_t bits = kValueLowBits + values.bits;
  size_t at = 0;
  for (unsigned c = 0; c < plan.classes.count; ++c) {
    BitsPlan::Class& here = plan.of_class[c];
    bits += bits_of_code(here.items, 0);
    if (here.items == 0) continue;
    const Candidate gaps = best_for_gaps(plan.gaps.subspan(at, here.items));
    here.gap_low = gaps.low;
    bits += kGapLowBits + gaps.bits;
    at += here.items;
  }
  plan.stream_bytes = ceil_div(bits, 8);
}

template <class U>
void append_stream(ByteSpan residuals, const BitsPlan& plan, uint8_t* room) {
  BitWriter writer(room);
  writer.put(plan.value_low, kValueLowBits);
  size_t at = 0;
  for (unsigned c = 0; c < plan.classes.count; ++c) {
    const auto [items, gap_low] = plan.of_class[c];
    put_code(writer, items, 0);
    if (items > 0) writer.put(gap_low, kGapLowBits);
    for (const size_t end = at + items; at < end; ++at) {
      const size_t gap = plan.gaps[at];
      writer.put_code(gap >> gap_low, low_of(gap, gap_low), gap_low);
      const U item = load<U>(residuals.data() + plan.numbers[at] * sizeof(U));
      put_code(writer, static_cast<U>(item - 1), plan.value_low);
    }
  }
}

/// What a stream tells of a class, kept in the thread's scratch.
struct Told {
  std::span<uint16_t> places;  ///< of the items in their class
  uint8_t* values;             ///< the items less 1
};

/// Takes a class of `count` items from the stream; nullopt when it tells of others.
template <class U>
std::optional<Told> take_class(BitReader& reader, unsigned value_low, size_t count) {
  const size_t items = take_code<uint32_t>(reader, 0).value_or(~uint32_t{0});
  if (items > count) return std::nullopt;
  BlockScratch& scratch = block_scratch();
  const Told told = {{scratch.others.data(), items}, scratch.values.for_items(items, sizeof(U))};
  if (items == 0) return told;
  const auto gap_low = static_cast<unsigned>(reader.take(kGapLowBits));
  size_t place = 0;
  for (size_t i = 0; i < items; ++i, ++place) {
    size_t gap;
    U value;
    if (!take_pair(reader, gap_low, value_low, gap, value)) return std::nullopt;
    place += gap;
    if (place >= count) return std::nullopt;
    told.places[i] = static_cast<uint16_t>(place);
    store(told.values + i * sizeof(U), value);
  }
  return told;
}

/// Calls with what the items are and what the values are.
template <class U, class Change>
bool change_each(ByteSpan stream, const SizeClasses& classes, MutableBytes items,
                 const Change& change) {
  BitReader reader(stream);
  const auto value_low = static_cast<unsigned>(reader.take(kValueLowBits));
  if (value_low >= 8 * sizeof(U)) return false;
  const size_t count = items.size() / sizeof(U);
  const ClassMarks* const marks =
      classes.count == 1 ? nullptr : &mark_classes(classes, items, sizeof(U));
  size_t all = 0;
  for (unsigned c = 0; c < classes.count; ++c) {
    const auto told = take_class<U>(reader, value_low, marks ? items_of(*marks, c) : count);
    if (!told) return false;
    const auto& places = told->places;
    if (marks) item_kernel().find_places(*marks, c, places.data(), places.size(), places.data());
    for (size_t i = 0; i < places.size(); ++i) {
      uint8_t* const item = items.data() + places[i] * sizeof(U);
      store(item, change(load<U>(item), load<U>(told->values + i * sizeof(U))));
    }
    all += places.size();
  }
  return all > 0 && reader.is_used_up();
}

}  // namespace

BitsPlan plan_bits(ByteSpan residuals, ByteSpan prediction, ItemForm form) {
  const size_t count = residuals.size() / form.bytes;
  uint16_t* const room = block_scratch().others.data();
  const std::span<const uint16_t> numbers = {
      room, item_kernel().find_others(residuals.data(), count, form.bytes, 0, room)};
  BitsPlan plan;
  if (form.is_float && form.bytes > 1 && numbers.size() >= kSortedLeast) {
    plan.classes = choose_size_classes(prediction, form.bytes, numbers);
  }
  if (plan.classes.count == 1) {
    find_gaps(plan, numbers);
  } else {
    sort_by_class(plan, numbers, prediction, form.bytes);
  }
  choose_codes(plan, residuals, form.bytes);
  return plan;
}

void append_bits(ByteSpan residuals, unsigned item_bytes, const BitsPlan& plan, Bytes& out) {
  out.push_back(static_cast<uint8_t>(plan.classes.count));
  if (plan.classes.count > 1) {
    out.push_back(static_cast<uint8_t>(plan.classes.top));
    out.push_back(static_cast<uint8_t>(plan.classes.step));
  }
  for (const int shift : {0, 8, 16}) {
    out.push_back(static_cast<uint8_t>(plan.stream_bytes >> shift));
  }
  const size_t begin = out.size();
  out.resize(begin + plan.stream_bytes + BitWriter::kSlack);
  with_item_type(item_bytes, [&](auto item) {
    append_stream<decltype(item)>(residuals, plan, out.data() + begin);
  });
  out.resize(begin + plan.stream_bytes);
}

bool correct_bits(ByteSpan stream, const SizeClasses& classes, ItemForm form, MutableBytes items) {
  return with_item_type(form.bytes, [&](auto item) {
    using U = decltype(item);
    const auto correct = [&]<bool kIsFloat>() {
      return change_each<U>(stream, classes, items, [](U prediction, U value) {
        return corrected<kIsFloat, U>(prediction, static_cast<U>(value + 1));
      });
    };
    return form.is_float ? correct.template operator()<true>()
                         : correct.template operator()<false>();
  });
}

bool fill_bits(ByteSpan stream, unsigned item_bytes, MutableBytes items) {
  return with_item_type(item_bytes, [&](auto item) {
    using U = decltype(item);
    return change_each<U>(stream, {}, items, [](U, U value) { return static_cast<U>(value + 1); });
  });
}

}  // namespace cairn
