#include "cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/exit_codes.h"
#include "cli/human.h"
#include "cli/signals.h"

namespace cairn {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kBufferBytes = 64 * kKiB;
constexpr std::string_view kClearLine = "\r\x1b[K";

/// 0, or the errno of the write that failed.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return 0;
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool colour_is_welcome() {
  const char* terminal = std::getenv("TERM");
  return !is_set("NO_COLOR") && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

std::optional<size_t> columns_of(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return std::nullopt;
  return size.ws_col;
}

// Names from files need not be UTF-8; JSON text must be.
std::string dump(const Json& document, int indent) {
  return document.dump(indent, ' ', false, Json::error_handler_t::replace) + '\n';
}

Json error_document(const Error& error) {
  return Json{{"code", exit_word(error.code)}, {"message", error.message}, {"hint", error.hint}};
}

Json with_type(std::string_view type, const Json& fields) {
  Json line = {{"type", type}};
  line.update(fields);
  return line;
}

}  // namespace

Output::Output(OutputOptions options)
    : options_(options),
      stdout_is_terminal_(isatty(options.stdout_fd) == 1),
      stderr_is_terminal_(isatty(options.stderr_fd) == 1),
      colour_(colour_is_welcome()) {}

Output::~Output() {
  const std::lock_guard lock(mutex_);
  flush_locked();
}

size_t Output::stderr_columns() const { return columns_of(options_.stderr_fd).value_or(80); }

size_t Output::stdout_columns() const {
  return stdout_is_terminal_ ? columns_of(options_.stdout_fd).value_or(0) : 0;
}

bool Output::write(ByteSpan data) {
  const std::lock_guard lock(mutex_);
  return write_locked(data);
}

bool Output::write_locked(ByteSpan data) {
  if (write_errno_ != 0) return false;
  if (buffer_.size() + data.size() > kBufferBytes) flush_locked();
  if (data.size() > kBufferBytes) {
    if (write_errno_ == 0) write_errno_ = write_all(options_.stdout_fd, as_text(data));
  } else {
    buffer_ += as_text(data);
  }
  if (stdout_is_terminal_) flush_locked();
  return write_errno_ == 0;
}

void Output::flush_locked() {
  if (buffer_.empty()) return;
  if (!bar_.empty() && stdout_is_terminal_) {
    write_all(options_.stderr_fd, kClearLine);
    bar_.clear();
  }
  if (write_errno_ == 0) write_errno_ = write_all(options_.stdout_fd, buffer_);
  buffer_.clear();
}

void Output::result(const Json& document) {
  const std::lock_guard lock(mutex_);
  if (json_lines()) {
    write_locked(as_bytes(dump(with_type("result", document), -1)));
    flush_locked();
  } else {
    write_locked(as_bytes(dump(document, stdout_is_terminal_ ? 2 : -1)));
  }
}

void Output::progress(const Json& fields) {
  const std::lock_guard lock(mutex_);
  write_locked(as_bytes(dump(with_type("progress", fields), -1)));
  flush_locked();
}

void Output::say_locked(std::string_view line) {
  // Data that came first is seen first where both streams end in the same terminal or log.
  flush_locked();
  std::string text;
  if (!bar_.empty()) text += kClearLine;
  text.append(line) += '\n';
  text += bar_;
  write_all(options_.stderr_fd, text);
}

void Output::note(std::string_view line) {
  if (quiet() || json()) return;
  status_line(line);
}

void Output::detail(std::string_view line) {
  if (verbose()) status_line(line);
}

void Output::warn(std::string_view line) {
  const std::lock_guard lock(mutex_);
  say_locked(coloured("warning:", "33") + ' ' + printable(line));
}

void Output::status_line(std::string_view line) {
  const std::lock_guard lock(mutex_);
  say_locked(line);
}

void Output::show_bar(std::string_view bar) {
  const std::lock_guard lock(mutex_);
  if (bar.empty() && bar_.empty()) return;
  bar_ = bar;
  write_all(options_.stderr_fd, std::string(kClearLine) + bar_);
}

int Output::fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (error.code == Code::kCorrupt && error.hint.empty()) {
    error.hint = "'cairn check' says what is damaged, and what mends it";
  }
  // Where it was when it was stopped tells nobody anything.
  constexpr std::string_view kStopped = ": stopped";
  if (error.code == Code::kCancelled && error.message.ends_with(kStopped)) {
    error.message = kStopped.substr(2);
  }
  if (error.code == Code::kAuth && error.hint.empty() &&
      error.message.find("s3://") != std::string::npos) {
    error.hint = "'cairn remote test URL' says which rights the credentials need, and lack";
  }
  say_error_locked(error);
  return exit_status(error.code, stop_signal());
}

void Output::say_error_locked(const Error& error) {
  if (!bar_.empty()) write_all(options_.stderr_fd, kClearLine);
  bar_.clear();
  const Json document = error_document(error);
  if (json_lines()) {
    write_locked(as_bytes(dump(Json{{"type", "error"}, {"error", document}}, -1)));
  }
  if (json())
    return say_locked(
        Json{{"error", document}}.dump(-1, ' ', false, Json::error_handler_t::replace));
  say_locked(coloured("error:", "1;31") + ' ' + printable(error.message));
  if (!error.hint.empty()) say_locked(coloured("hint:", "36") + ' ' + printable(error.hint));
}

std::string Output::coloured(std::string_view text, const char* code) const {
  if (!colour_ || !stderr_is_terminal_) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string Output::bold(std::string_view text) const {
  if (!colour_ || !stdout_is_terminal_) return std::string(text);
  return fmt::format("\x1b[1m{}\x1b[0m", text);
}

int Output::finish(int status) {
  const std::lock_guard lock(mutex_);
  flush_locked();
  if (write_errno_ == 0 || write_errno_ == EPIPE) return status;
  const Error error = fail_errno(write_errno_, "cannot write to stdout").value();
  say_error_locked(error);
  return status == kExitOk ? exit_status(error.code) : status;
}

}  // namespace cairn
