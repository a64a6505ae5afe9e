#include "store/remote/xml_reader.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace cairn::remote {

static constexpr std::string_view kBlanks = " \t\r\n";

tl::unexpected<Error> XmlReader::malformed(std::string_view why) const {
  return fail(Code::kFailed, fmt::format("the answer is no XML: {}", why));
}

Status XmlReader::pass(std::string_view end) {
  const size_t at = rest_.find(end);
  if (at == std::string_view::npos) return malformed("it ends within a tag");
  rest_.remove_prefix(at + end.size());
  return {};
}

static void append_utf8(std::string& text, uint32_t code) {
  const auto add = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xc0 | code >> 6);
    add(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    add(0xe0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  } else {
    add(0xf0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3f));
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  }
}

/// Of `#65`, `#x41`; false for what is no character.
static bool append_number(std::string& text, std::string_view digits) {
  const bool hex = digits.starts_with('x');
  if (hex) digits.remove_prefix(1);
  uint32_t code = 0;
  const char* const all = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), all, code, hex ? 16 : 10);
  if (error != std::errc() || end != all) return false;
  if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
  append_utf8(text, code);
  return true;
}

static bool append_entity(std::string& text, std::string_view entity) {
  static constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [name, c] : kNamed) {
    if (entity == name) {
      text += c;
      return true;
    }
  }
  return entity.starts_with('#') && append_number(text, entity.substr(1));
}

Status XmlReader::take_text() {
  text_.clear();
  while (!rest_.empty() && rest_[0] != '<') {
    const size_t plain = std::min(rest_.find_first_of("&<"), rest_.size());
    text_ += rest_.substr(0, plain);
    rest_.remove_prefix(plain);
    if (!rest_.starts_with('&')) continue;
    const size_t end = rest_.substr(0, 12).find(';');
    if (end == std::string_view::npos || !append_entity(text_, rest_.substr(1, end - 1))) {
      return malformed("it has an entity that nobody knows");
    }
    rest_.remove_prefix(end + 1);
  }
  return {};
}

static std::string_view local_name(std::string_view tag) {
  const std::string_view name = tag.substr(0, tag.find_first_of(kBlanks));
  const size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

Result<XmlEvent> XmlReader::take_tag() {
  const std::string_view from = rest_;
  CAIRN_CHECK(pass(">"));
  std::string_view tag = from.substr(1, from.size() - rest_.size() - 2);
  if (tag.starts_with('/')) {
    name_ = local_name(tag.substr(1));
    if (depth_ == 0 || open_[depth_ - 1] != name_) return malformed("its tags do not match");
    --depth_;
    return XmlEvent::kEnd;
  }
  closes_ = tag.ends_with('/');
  if (closes_) tag.remove_suffix(1);
  name_ = local_name(tag);
  if (name_.empty()) return malformed("a tag has no name");
  if (depth_ == 0 && begun_) return malformed("it has two roots");
  if (depth_ == kDepthMost) return malformed("it is too deep");
  open_[depth_++] = name_;
  begun_ = true;
  return XmlEvent::kBegin;
}

Result<XmlEvent> XmlReader::next() {
  if (closes_) {
    closes_ = false;
    --depth_;
    return XmlEvent::kEnd;
  }
  for (;;) {
    if (depth_ == 0) rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlanks), rest_.size()));
    if (rest_.empty() && depth_ == 0 && begun_) return XmlEvent::kDone;
    if (rest_.empty()) return malformed("it ends too early");
    if (rest_[0] != '<') {
      if (depth_ == 0) return malformed("it has text outside of its root");
      CAIRN_CHECK(take_text());
      return XmlEvent::kText;
    }
    if (rest_.starts_with("<?")) {
      CAIRN_CHECK(pass("?>"));
    } else if (rest_.starts_with("<!--")) {
      CAIRN_CHECK(pass("-->"));
    } else if (rest_.starts_with("<!")) {
      return malformed("it declares a type, or has a section of characters");
    } else {
      return take_tag();
    }
  }
}

}  // namespace cairn::remote
