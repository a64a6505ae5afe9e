#include "gpu/scatter_plan.h"

#include <cmath>
#include <optional>

#include "lib/convert.h"
#include "tests/gpu/kernel_fixture.h"

namespace cairn::gpu {
namespace {

struct Case {
  Element from, as;
  std::optional<Dtype> source, target;
};

const std::vector<std::pair<Element, Dtype>> kSources = {{Element::kF8E5M2, Dtype::kF8E5M2},
                                                         {Element::kF8E4M3, Dtype::kF8E4M3},
                                                         {Element::kF8E8M0, Dtype::kF8E8M0},
                                                         {Element::kF8E4M3Fnuz, Dtype::kF8E4M3Fnuz},
                                                         {Element::kF8E5M2Fnuz, Dtype::kF8E5M2Fnuz},
                                                         {Element::kF16, Dtype::kF16},
                                                         {Element::kBF16, Dtype::kBF16},
                                                         {Element::kF32, Dtype::kF32},
                                                         {Element::kF64, Dtype::kF64},
                                                         {Element::kBool, Dtype::kBool},
                                                         {Element::kU8, Dtype::kU8},
                                                         {Element::kI8, Dtype::kI8},
                                                         {Element::kU16, Dtype::kU16},
                                                         {Element::kI16, Dtype::kI16},
                                                         {Element::kU32, Dtype::kU32},
                                                         {Element::kI32, Dtype::kI32},
                                                         {Element::kU64, Dtype::kU64},
                                                         {Element::kI64, Dtype::kI64}};

/// Every pattern of 8 and 16 bits; of the wider ones some of each kind.
Bytes all_elements(Element element) {
  const unsigned bytes = element_bytes(element);
  if (bytes == 8) {
    Bytes content = random_content(8 * 3000, 1);
    // Near the bounds of integers, as doubles and as they are.
    for (int power = 0; power < 66; ++power) {
      for (const double near : {-1.0, -0.5, 0.0, 0.5, 1.0}) {
        for (const double sign : {1.0, -1.0})
          append_le(content, sign * std::ldexp(1.0, power) + near);
      }
      append_le(content, (uint64_t{1} << power % 64) - 1);
    }
    for (uint64_t i = 0; i < 3000; ++i) {
      const auto near_f32 = static_cast<double>(load_le<float>(content, 8 * i));
      if (i % 2 == 0) store_le(MutableBytes(content), 8 * i, near_f32 * (1 + 0x1p-30));
    }
    for (const uint64_t bits : {0x7ff0000000000000, 0x7ff0000000000001, 0x7ff8000012345678}) {
      append_le(content, bits);
      append_le(content, bits | 0x8000000000000000);
    }
    return content;
  }
  if (bytes == 4) {
    Bytes content = random_content(4 * 6000, 2);
    for (int power = 0; power < 66; ++power) {
      for (const float near : {-1.0f, -0.5f, 0.0f, 0.5f, 1.0f}) {
        for (const float sign : {1.0f, -1.0f}) {
          append_le(content, sign * std::ldexp(1.0f, power) + near);
        }
      }
    }
    for (uint32_t exponent = 0; exponent < 512; ++exponent) {
      for (const uint32_t low : {0x0u, 0x1u, 0xfffu, 0x1000u, 0x1001u, 0x8000u, 0x7fffffu}) {
        append_le(content, exponent << 23 | low);
      }
    }
    return content;
  }
  Bytes content;
  for (uint32_t bits = 0; bits < 1u << (8 * bytes); ++bits) {
    if (bytes == 1) append_le(content, static_cast<uint8_t>(bits));
    if (bytes == 2) append_le(content, static_cast<uint16_t>(bits));
  }
  return content;
}

TEST(DeviceScatter, ConvertsAsTheHostDoes) {
  for (const auto& [from, source] : kSources) {
    const Bytes content = all_elements(from);
    const uint64_t elements = content.size() / element_bytes(from);
    const OnDevice slab(content);
    for (const auto& [as, target] : kSources) {
      if (!is_target(as) || as == from) continue;
      SCOPED_TRACE(testing::Message() << dtype_name(source) << " to " << dtype_name(target));
      Bytes wanted(elements * element_bytes(as));
      convert(source, content.data(), target, wanted.data(), elements);
      const OnDevice out(wanted.size());
      const ScatterPiece piece{0, {out.data(), wanted.size()}, from, as};
      const ScatterPlan plan = must(ScatterPlan::make(std::vector{piece}));
      const OnDevice image(plan.image());
      must(scatter({}, plan, image.span(), slab.span()));
      const Bytes found = out.content();
      for (uint64_t i = 0; i < elements; ++i) {
        const uint64_t at = i * element_bytes(as);
        ASSERT_TRUE(std::equal(found.begin() + at, found.begin() + at + element_bytes(as),
                               wanted.begin() + at))
            << "element " << i << ": "
            << to_hex(ByteSpan(content).subspan(i * element_bytes(from), element_bytes(from)))
            << " became " << to_hex(ByteSpan(found).subspan(at, element_bytes(as))) << ", not "
            << to_hex(ByteSpan(wanted).subspan(at, element_bytes(as)));
      }
    }
  }
}

/// Pieces at drawn places of one memory, which tiles share without touching each other.
class DrawnPieces {
 public:
  explicit DrawnPieces(uint64_t seed) : random_(seed) {
    slab_ = random_content(kSlabBytes, seed);
    target_ = Bytes(kTargetBytes, 0xEE);
  }

  void add(const OnDevice& target) {
    const auto [from, source] = kSources[draw(kSources.size())];
    const auto [as, wide] =
        draw(2) == 0 ? kSources[5 + draw(kSources.size() - 5)] : std::pair(from, source);
    const unsigned in = element_bytes(from), out = element_bytes(as);
    const uint64_t rows = 1 + draw(12), row_elements = 1 + draw(draw(2) == 0 ? 20 : 400);
    const uint64_t row_bytes = row_elements * out, gap = draw(3) * out;
    const uint64_t unit = draw(2) == 0 ? 16 : out;
    at_ = (at_ + unit - 1) / unit * unit;
    const bool is_upward = draw(4) == 0;
    const uint64_t span = rows * (row_bytes + gap);
    if (at_ + span > kTargetBytes) return;
    const uint64_t offset = 16 * draw((kSlabBytes - rows * row_elements * in) / 16);
    const auto stride = static_cast<int64_t>(row_bytes + gap);
    const uint64_t begin = is_upward ? at_ + (rows - 1) * (row_bytes + gap) : at_;
    pieces_.push_back(
        {offset, {target.data() + begin, row_bytes, is_upward ? -stride : stride, rows}, from, as});
    Bytes content(slab_.begin() + offset, slab_.begin() + offset + rows * row_elements * in);
    if (as != from) {
      Bytes made(rows * row_bytes);
      convert(source, content.data(), wide, made.data(), rows * row_elements);
      content = made;
    }
    for (uint64_t row = 0; row < rows; ++row) {
      const uint64_t place = at_ + (is_upward ? rows - 1 - row : row) * (row_bytes + gap);
      std::copy_n(content.begin() + row * row_bytes, row_bytes, target_.begin() + place);
    }
    at_ += span + draw(30);
  }

  void expect_scattered(Share share) {
    const OnDevice target(Bytes(kTargetBytes, 0xEE)), slab(slab_);
    for (int i = 0; i < 60; ++i) add(target);
    const ScatterPlan plan = must(ScatterPlan::make(pieces_));
    const OnDevice image(plan.image());
    must(scatter({}, plan, image.span(), slab.span(), share));
    EXPECT_EQ(target.content(), target_);
  }

 private:
  static constexpr uint64_t kSlabBytes = 64 << 10, kTargetBytes = 400 << 10;
  uint64_t draw(uint64_t below) { return random_() % below; }

  std::mt19937_64 random_;
  Bytes slab_, target_;
  std::vector<ScatterPiece> pieces_;
  uint64_t at_ = 0;
};

TEST(DeviceScatter, PutsPiecesWhereTheyBelongAndTouchesNothingElse) {
  in_any_order([] {
    for (uint64_t seed = 1; seed <= 4; ++seed) DrawnPieces(seed).expect_scattered(Share{});
    DrawnPieces(5).expect_scattered(Share{1});
  });
}

TEST(DeviceScatter, CopiesLargeTilesWhole) {
  const Bytes content = random_content(200'000, 3);
  const OnDevice slab(content), target(Bytes(500'000));
  // Rows of 1,000 bytes, 2,000 apart.
  const ScatterPiece piece{0, {target.data(), 1000, 2000, 200}};
  const ScatterPlan plan = must(ScatterPlan::make(std::vector{piece}));
  const OnDevice image(plan.image());
  must(scatter({}, plan, image.span(), slab.span()));
  Bytes wanted(500'000);
  for (uint64_t row = 0; row < 200; ++row) {
    std::copy_n(content.begin() + 1000 * row, 1000, wanted.begin() + 2000 * row);
  }
  EXPECT_EQ(target.content(), wanted);
}

TEST(DeviceScatter, RefusesPiecesThatAreNone) {
  uint8_t byte = 0;
  const auto refused = [&](ScatterPiece piece) {
    const auto plan = ScatterPlan::make(std::vector{piece});
    return !plan && plan.error().code == Code::kUsage;
  };
  EXPECT_FALSE(refused({0, {&byte, 16, 16, 4}}));
  EXPECT_TRUE(refused({8, {&byte, 16, 16, 4}}));
  EXPECT_TRUE(refused({0, {&byte, 16, 15, 4}}));
  EXPECT_TRUE(refused({0, {&byte, 16, -15, 4}}));
  EXPECT_TRUE(refused({0, {&byte, uint64_t{1} << 40, int64_t{1} << 40, 1 << 20}}));
  EXPECT_TRUE(refused({0, {&byte, 16, 16, 4}, Element::kBytes, Element::kF32}));
  EXPECT_TRUE(refused({0, {&byte, 16, 16, 4}, Element::kF32, Element::kF8E5M2}));
  EXPECT_TRUE(refused({0, {&byte, 18, 20, 4}, Element::kBF16, Element::kF32}));
  const ScatterPlan plan = must(ScatterPlan::make(std::vector{ScatterPiece{0, {&byte, 16}}}));
  EXPECT_FALSE(scatter({}, plan, {}, {&byte, 16}));
}

TEST(DeviceScatter, OfNothing) {
  const ScatterPlan plan = must(ScatterPlan::make({}));
  const OnDevice image(plan.image()), slab(0);
  must(scatter({}, plan, image.span(), slab.span()));
}

}  // namespace
}  // namespace cairn::gpu
