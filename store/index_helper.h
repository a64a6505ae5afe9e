// The index behind a process of its own. A library must not open RocksDB inside someone else's
// process (it may abort there), so a saver that wants store-wide look-ups starts the program
// `cairn` as a helper and talks to it over a socket, and so does a gc, which a cache shall not end.
// Without a helper saves go on, only without look-ups.
//
// Frames, little-endian. Helper first: hello. Then one answer to each request; the end of the
// requests ends the helper.
//   hello     "CAIRNIX1", u32 format, u32 0, u64 commit of the root the index has seen
//   or        "CAIRNERR", u32 length, u32 0, u64 0, and the words of what is wrong
//   request   u32 kind, u32 count, then: 1 look up: count digests; 2 drop packs: count file ids
//   answer    u32 status (0 fine), u32 count, count answers of 48 bytes (none to 2), or the words
//   of
//             an error (status 1; 2 when another process writes the index)
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "store/locator.h"

namespace cairn {

inline constexpr uint32_t kLookUpRequest = 1;
inline constexpr uint32_t kDropRequest = 2;
inline constexpr size_t kLookUpMax = 65536;  ///< digests or packs in one request
inline constexpr uint32_t kAnswerFine = 0, kAnswerFailed = 1, kAnswerBusy = 2;
inline constexpr size_t kAnswerBytes = 48;

/// Both ends of the frames; pure.
Bytes encode_hello(uint64_t commit);
Bytes encode_refusal(std::string_view words);
struct Hello {
  uint64_t commit = 0;
  std::optional<uint32_t> refusal_bytes;  ///< set: that many bytes of words follow
};
Result<Hello> decode_hello(ByteSpan hello);
inline constexpr size_t kHelloBytes = 24;
void append_answer(Bytes& bytes, const std::optional<Copy>& found);
std::optional<Copy> decode_answer(ByteSpan answer);

inline constexpr int kSilenceMs = 30000;
/// All of `bytes` to or from a socket; a peer that is gone, or silent for silence_ms (-1: for
/// ever), is an error, never a SIGPIPE.
Status send_all(int socket, ByteSpan bytes);
Status receive_all(int socket, MutableBytes bytes, int silence_ms = kSilenceMs);

/// Where the program lies: `$CAIRN_PROGRAM`, else `beside` when it is not empty, else `cairn` on
/// the PATH.
std::string helper_program(const std::string& beside);

/// Threads: one at a time.
class IndexHelper {
 public:
  /// Starts `program` on the store. Errors: kFailed when it cannot be started or speaks another
  /// version; what the helper says is wrong with the index.
  static Result<std::unique_ptr<IndexHelper>> start(const std::string& program,
                                                    const std::string& store_path);
  /// Ends the helper and waits for it.
  ~IndexHelper();
  IndexHelper(const IndexHelper&) = delete;
  IndexHelper& operator=(const IndexHelper&) = delete;

  /// As Index::look_up. After an error the helper is of no use any more.
  Status look_up(const std::vector<Digest>& wanted, std::vector<std::optional<Copy>>& found);
  /// As Index::drop_packs. Errors: kBusy when another process writes the index.
  Status drop_packs(std::span<const FileId> packs);

 private:
  IndexHelper(int socket, int pid) : socket_(socket), pid_(pid) {}
  Result<Bytes> ask(uint32_t kind, size_t count, ByteSpan items, size_t answer_bytes);

  const int socket_;
  const int pid_;
};

}  // namespace cairn
