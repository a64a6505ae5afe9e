#include "store/index_helper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "store/config.h"
#include "store/wire.h"

extern char** environ;

namespace cairn {

static constexpr std::string_view kHelloMagic = "CAIRNIX1";
static constexpr size_t kWordsMax = 4096;
/// What the helper has for its end.
static constexpr int kEndMs = 2000;
static constexpr std::string_view kRefusalMagic = "CAIRNERR";

Bytes encode_hello(uint64_t commit) {
  Bytes bytes;
  append_bytes(bytes, as_bytes(kHelloMagic));
  append_le(bytes, static_cast<uint32_t>(kFormatNumber));
  append_le<uint32_t>(bytes, 0);
  append_le(bytes, commit);
  return bytes;
}

Bytes encode_refusal(std::string_view words) {
  Bytes bytes;
  append_bytes(bytes, as_bytes(kRefusalMagic));
  append_le(bytes, static_cast<uint32_t>(words.size()));
  append_le<uint32_t>(bytes, 0);
  append_le<uint64_t>(bytes, 0);
  append_bytes(bytes, as_bytes(words));
  return bytes;
}

Result<Hello> decode_hello(ByteSpan bytes) {
  WireReader reader(bytes, "the index helper's hello");
  const bool refused = as_text(bytes).starts_with(kRefusalMagic);
  reader.expect(refused ? kRefusalMagic : kHelloMagic);
  const auto number = reader.take<uint32_t>();
  reader.take<uint32_t>();
  Hello hello;
  hello.commit = reader.take<uint64_t>();
  CAIRN_CHECK(reader.finish());
  if (refused) {
    hello.refusal_bytes = number;
  } else if (number != kFormatNumber) {
    return fail(Code::kFailed, fmt::format("the index helper is of format {}", number),
                "point CAIRN_PROGRAM to the 'cairn' of this version");
  }
  return hello;
}

void append_answer(Bytes& bytes, const std::optional<Copy>& found) {
  const Copy copy = found.value_or(Copy{});
  append_file_id(bytes, copy.pack);
  append_le(bytes, copy.offset);
  append_le(bytes, copy.stored_bytes);
  append_le(bytes, copy.decoded_bytes);
  append_le(bytes, static_cast<uint32_t>(copy.encoding));
  append_le(bytes, static_cast<uint32_t>(found.has_value()));
}

std::optional<Copy> decode_answer(ByteSpan answer) {
  WireReader reader(answer, "an answer");
  Copy copy;
  copy.pack = take_file_id(reader);
  copy.offset = reader.take<uint64_t>();
  copy.stored_bytes = reader.take<uint32_t>();
  copy.decoded_bytes = reader.take<uint32_t>();
  copy.encoding = static_cast<Encoding>(reader.take<uint32_t>());
  const bool found = reader.take<uint32_t>() == 1;
  return found && reader.finish() ? std::optional(copy) : std::nullopt;
}

static Status wait_for(int socket, short events, int silence_ms) {
  pollfd wanted{socket, events, 0};
  for (;;) {
    const int ready = poll(&wanted, 1, silence_ms);
    if (ready > 0) return {};
    if (ready == 0) return fail(Code::kFailed, "the index helper does not answer");
    if (errno != EINTR) return fail_errno(errno, "cannot wait for the index helper");
  }
}

Status send_all(int socket, ByteSpan bytes) {
  while (!bytes.empty()) {
    CAIRN_CHECK(wait_for(socket, POLLOUT, kSilenceMs));
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot ask the index helper");
    if (count > 0) bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

Status receive_all(int socket, MutableBytes bytes, int silence_ms) {
  while (!bytes.empty()) {
    CAIRN_CHECK(wait_for(socket, POLLIN, silence_ms));
    const ssize_t count = recv(socket, bytes.data(), bytes.size(), 0);
    if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot hear the index helper");
    if (count == 0) return fail(Code::kFailed, "the index helper has ended");
    if (count > 0) bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

std::string helper_program(const std::string& beside) {
  const char* named = std::getenv("CAIRN_PROGRAM");
  if (named != nullptr && *named != '\0') return named;
  return beside.empty() ? "cairn" : beside;
}

Result<std::unique_ptr<IndexHelper>> IndexHelper::start(const std::string& program,
                                                        const std::string& store_path) {
  std::array<int, 2> sockets{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return fail_errno(errno, "cannot make a socket for the index helper");
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, sockets[1], STDIN_FILENO);
  // What the helper has to say it says over the socket.
  for (const int output : {STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0);
  }
  // Ctrl-C on the terminal is for the saver, which ends the helper in its own time.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::array<std::string, 4> words = {program, "--store", store_path, "__index"};
  std::array<char*, 5> argv{};
  std::transform(words.begin(), words.end(), argv.begin(),
                 [](std::string& word) { return word.data(); });
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(sockets[1]);
  if (error != 0) {
    close(sockets[0]);
    return fail_errno(error, fmt::format("cannot start the index helper '{}'", program));
  }
  std::unique_ptr<IndexHelper> helper(new IndexHelper(sockets[0], pid));
  Bytes bytes(kHelloBytes);
  CAIRN_CHECK(receive_all(helper->socket_, bytes));
  CAIRN_TRY(const Hello hello, decode_hello(bytes));
  if (!hello.refusal_bytes) return helper;
  Bytes refusal(std::min<size_t>(*hello.refusal_bytes, kWordsMax));
  CAIRN_CHECK(receive_all(helper->socket_, refusal));
  return fail(Code::kFailed, std::string(as_text(refusal)));
}

IndexHelper::~IndexHelper() {
  shutdown(socket_, SHUT_RDWR);
  close(socket_);
  // It ends by itself when its socket closes; one that hangs must not hang the saver.
  for (int pause_ms = 1, waited_ms = 0; waited_ms < kEndMs; waited_ms += pause_ms) {
    const pid_t ended = waitpid(pid_, nullptr, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno != EINTR)) return;
    pause_ms = std::min(2 * pause_ms, 20);
    poll(nullptr, 0, pause_ms);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Result<Bytes> IndexHelper::ask(uint32_t kind, size_t asked, ByteSpan items, size_t answer_bytes) {
  Bytes request;
  append_le(request, kind);
  append_le(request, static_cast<uint32_t>(asked));
  append_bytes(request, items);
  CAIRN_CHECK(send_all(socket_, request));
  Bytes head(8);
  CAIRN_CHECK(receive_all(socket_, head));
  const auto status = load_le<uint32_t>(head, 0), count = load_le<uint32_t>(head, 4);
  if (count > kLookUpMax) return fail(Code::kFailed, "the index helper speaks another language");
  Bytes body(status == kAnswerFine ? count * answer_bytes : count);
  CAIRN_CHECK(receive_all(socket_, body));
  if (status == kAnswerFine) return body;
  const Code code = status == kAnswerBusy ? Code::kBusy : Code::kFailed;
  return fail(code, std::string(as_text(body)));
}

Status IndexHelper::look_up(const std::vector<Digest>& wanted,
                            std::vector<std::optional<Copy>>& found) {
  for (size_t first = 0; first < wanted.size(); first += kLookUpMax) {
    const size_t count = std::min(kLookUpMax, wanted.size() - first);
    Bytes digests;
    for (size_t i = first; i < first + count; ++i) append_digest(digests, wanted[i]);
    CAIRN_TRY(const Bytes answers, ask(kLookUpRequest, count, digests, kAnswerBytes));
    if (answers.size() != count * kAnswerBytes) {
      return fail(Code::kFailed, "the index helper left a question open");
    }
    for (size_t i = 0; i < count; ++i) {
      found[first + i] = decode_answer(ByteSpan(answers).subspan(i * kAnswerBytes, kAnswerBytes));
    }
  }
  return {};
}

Status IndexHelper::drop_packs(std::span<const FileId> packs) {
  for (size_t first = 0; first < packs.size(); first += kLookUpMax) {
    const auto some = packs.subspan(first, std::min(kLookUpMax, packs.size() - first));
    Bytes ids;
    for (const FileId& pack : some) append_file_id(ids, pack);
    CAIRN_CHECK(ask(kDropRequest, some.size(), ids, kAnswerBytes));
  }
  return {};
}

}  // namespace cairn
