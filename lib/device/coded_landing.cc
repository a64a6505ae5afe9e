#include "lib/device/coded_landing.h"

#include <algorithm>
#include <map>

namespace cairn {

uint64_t coded_bytes_most(const StagingOptions& options) { return options.slab_bytes / 4; }

static std::vector<const Content*> contents_of(const std::vector<StagedPiece>& pieces) {
  std::vector<const Content*> contents;
  for (const StagedPiece& piece : pieces) contents.push_back(&piece.content);
  return contents;
}

Result<CodedLanding> CodedLanding::begin(Lane& lane, unsigned turn, std::vector<StagedPiece> pieces,
                                         std::span<const ItemForm> forms, MutableBytes host) {
  CodedLanding landing;
  landing.lane_ = &lane;
  landing.turn_ = turn;
  landing.pieces_ = std::move(pieces);
  landing.host_ = host;
  Arena& arena = lane.slab(turn);
  CAIRN_CHECK(gpu::wait_for(lane.work(), lane.copied(turn)));
  arena.clear();
  std::vector<const Content*> befores;
  for (const StagedPiece& piece : landing.pieces_) befores.push_back(&*piece.before);
  CAIRN_TRY(landing.now_, gather_contents(lane, arena, contents_of(landing.pieces_)));
  CAIRN_TRY(landing.before_, gather_contents(lane, arena, befores));
  std::vector<gpu::Tile> tiles = landing.now_.tiles;
  tiles.insert(tiles.end(), landing.before_.tiles.begin(), landing.before_.tiles.end());
  CAIRN_TRY(landing.digests_, enqueue_digests(lane, arena, tiles));
  std::map<unsigned, Group> by_width;
  for (size_t i = 0; i < forms.size(); ++i) by_width[forms[i].bytes].contents.push_back(i);
  const uint64_t told_bytes =
      landing.digests_.bytes + sizeof(gpu::TransformState) * by_width.size();
  landing.told_ = host.last(told_bytes);
  MutableBytes states = landing.told_.subspan(landing.digests_.bytes);
  for (auto& [item_bytes, group] : by_width) {
    group.item_bytes = item_bytes;
    CAIRN_CHECK(landing.encode(group, arena));
    CAIRN_CHECK(
        lane.bring(lane.work(), states.first(sizeof(gpu::TransformState)), group.spans.state.data));
    states = states.subspan(sizeof(gpu::TransformState));
    landing.groups_.push_back(std::move(group));
  }
  CAIRN_CHECK(
      lane.bring(lane.work(), landing.told_.first(landing.digests_.bytes), landing.digests_.data));
  CAIRN_TRY(landing.seen_, gpu::Event::make());
  CAIRN_CHECK(landing.seen_.record(lane.work()));
  return landing;
}

Status CodedLanding::encode(Group& group, Arena& arena) {
  std::vector<gpu::TransformChunk> chunks;
  for (const size_t i : group.contents) {
    gpu::TransformChunk& chunk = chunks.emplace_back();
    chunk.items = now_.tiles[i].data;
    chunk.count = pieces_[i].content.bytes / group.item_bytes;
    chunk.bases[0] = before_.tiles[i].data;
  }
  gpu::Transform transform;
  transform.prediction = gpu::Prediction::kXor;
  transform.coding = gpu::Coding::kSparse;
  transform.form.bytes = static_cast<uint8_t>(group.item_bytes);
  CAIRN_TRY(group.plan, gpu::TransformPlan::make(std::move(transform), chunks));
  const gpu::TransformPlan& plan = *group.plan;
  CAIRN_TRY(const gpu::DeviceSpan image, take_room(arena, plan.image().size()));
  CAIRN_TRY(group.spans.coded, take_room(arena, plan.coded_bytes()));
  CAIRN_TRY(group.spans.runs, take_room(arena, plan.runs_bytes()));
  CAIRN_TRY(group.spans.slab, take_room(arena, plan.slab_bytes_most()));
  CAIRN_TRY(group.spans.state, take_room(arena, sizeof(gpu::TransformState)));
  CAIRN_CHECK(gpu::copy_up(lane_->work(), image.data, plan.image()));
  CAIRN_CHECK(gpu::fill_zeros(lane_->work(), group.spans.state.data, group.spans.state.bytes));
  return gpu::encode(lane_->work(), plan, image, group.spans, lane_->share());
}

/// Whether what was before is what the base tag has.
bool CodedLanding::is_base(size_t content) const {
  const size_t at = sizeof(Digest) * (pieces_.size() + content);
  return load_le<Digest>(told_, at) == pieces_[content].before_digest;
}

uint64_t CodedLanding::values_bytes(size_t group) const {
  const size_t at = digests_.bytes + sizeof(gpu::TransformState) * group;
  return load_le<gpu::TransformState>(told_, at).slab_bytes;
}

Result<LandedCodes> CodedLanding::finish() {
  CAIRN_CHECK(seen_.wait());
  bool is_worth_it = true;
  for (size_t i = 0; i < pieces_.size(); ++i) is_worth_it = is_worth_it && is_base(i);
  uint64_t bytes = 0;
  for (size_t i = 0; i < groups_.size(); ++i) {
    bytes += groups_[i].spans.coded.bytes + groups_[i].spans.runs.bytes + values_bytes(i);
  }
  // Making items of changes costs the host a look at the base: it must be worth a quarter.
  if (is_worth_it && bytes <= now_.memory.bytes / 4 * 3) return send_codes();
  LandedCodes landed;
  landed.is_whole = true;
  CAIRN_TRY(landed.contents,
            Landing::send(*lane_, turn_, now_, contents_of(pieces_),
                          {digests_.data, sizeof(Digest) * pieces_.size()}, host_));
  return landed;
}

Result<LandedCodes> CodedLanding::send_codes() {
  LandedCodes landed;
  landed.codes.resize(pieces_.size());
  MutableBytes host = host_;
  const auto copy = [&](gpu::DeviceSpan from, uint64_t bytes) -> Result<ByteSpan> {
    const MutableBytes to = host.first(bytes);
    host = host.subspan(bytes);
    CAIRN_CHECK(lane_->bring(lane_->copies(), to, from.data));
    return ByteSpan(to);
  };
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    CAIRN_TRY(const ByteSpan codes, copy(group.spans.coded, group.spans.coded.bytes));
    CAIRN_TRY(const ByteSpan runs, copy(group.spans.runs, group.spans.runs.bytes));
    CAIRN_TRY(const ByteSpan values, copy(group.spans.slab, values_bytes(g)));
    const uint64_t tile_items = group.plan->tile_items();
    for (size_t i = 0; i < group.contents.size(); ++i) {
      const size_t content = group.contents[i];
      landed.codes[content] = {codes.subspan(group.plan->coded_offset(i)),
                               runs.subspan(sizeof(gpu::EscapedRun) * group.plan->first_tile(i)),
                               values, tile_items, group.item_bytes};
    }
  }
  CAIRN_TRY(landed.landed, gpu::Event::make());
  CAIRN_CHECK(landed.landed.record(lane_->copies()));
  CAIRN_CHECK(lane_->copied(turn_).record(lane_->copies()));
  return landed;
}

}  // namespace cairn
