// `cairn __index`: the helper that answers look-ups for a saver over its standard input, a socket,
// and drops packs for a gc (store/index_helper.h). Not for people: it is in no overview.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "store/index/index.h"
#include "store/index_helper.h"
#include "store/wire.h"

namespace cairn {

static constexpr int kSocket = 0;

static Bytes frame(uint32_t status, uint32_t count, ByteSpan body) {
  Bytes bytes;
  append_le(bytes, status);
  append_le(bytes, count);
  append_bytes(bytes, body);
  return bytes;
}

static Status answer_look_up(Index& index, uint32_t count) {
  Bytes request(count * sizeof(Digest));
  CAIRN_CHECK(receive_all(kSocket, request));
  std::vector<Digest> wanted(count);
  for (uint32_t i = 0; i < count; ++i) wanted[i] = load_le<Digest>(request, i * sizeof(Digest));
  std::vector<std::optional<Copy>> found(count);
  CAIRN_CHECK(index.look_up(wanted, found));
  Bytes answers;
  for (const auto& copy : found) append_answer(answers, copy);
  return send_all(kSocket, frame(kAnswerFine, count, answers));
}

static Status drop_packs(Index& index, uint32_t count) {
  Bytes request(count * kFileIdBytes);
  CAIRN_CHECK(receive_all(kSocket, request));
  WireReader reader(request, "a request");
  std::vector<FileId> packs(count);
  for (FileId& pack : packs) pack = take_file_id(reader);
  CAIRN_CHECK(reader.finish());
  CAIRN_CHECK(index.drop_packs(packs));
  return send_all(kSocket, frame(kAnswerFine, 0, {}));
}

/// Answers until the saver closes its end.
static Status serve(Index& index) {
  for (;;) {
    Bytes head(8);
    // However long the saver is silent, only its end is the end.
    const Status heard = receive_all(kSocket, head, -1);
    if (!heard) return {};
    const auto kind = load_le<uint32_t>(head, 0), count = load_le<uint32_t>(head, 4);
    Status done;
    if (kind == kLookUpRequest && count <= kLookUpMax) {
      done = answer_look_up(index, count);
    } else if (kind == kDropRequest && count <= kLookUpMax) {
      done = drop_packs(index, count);
    } else {
      done = fail(Code::kFailed, "a request that this version does not know");
    }
    if (done) continue;
    const std::string& words = done.error().message;
    const uint32_t status = done.error().code == Code::kBusy ? kAnswerBusy : kAnswerFailed;
    return send_all(kSocket, frame(status, static_cast<uint32_t>(words.size()), as_bytes(words)));
  }
}

static Status run(const std::string& store_path) {
  CAIRN_TRY(const auto store, Store::open(posix_fs(), store_path));
  // Another saver's helper may have it: what that one wrote so far can still be read.
  CAIRN_TRY(const auto index, Index::open(*store, Index::Access::kShared));
  CAIRN_CHECK(index->catch_up());
  CAIRN_TRY(const IndexState state, index->state());
  CAIRN_CHECK(send_all(kSocket, encode_hello(state.commit)));
  CAIRN_CHECK(serve(*index));
  // The saver is done and waits only for the end of this process.
  return index->tidy();
}

int cmd_index(const Context& context, const IndexOptions&) {
  const Status done = run(context.store);
  if (done) return kExitOk;
  (void)send_all(kSocket, encode_refusal(done.error().message)).has_value();
  return context.output.fail(done.error());
}

}  // namespace cairn
