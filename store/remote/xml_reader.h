// The answers of object stores, element by element. A reader of our own: four small documents of
// elements and text are all there is to read, and no XML library is a dependency for them.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cairn::remote {

enum class XmlEvent : uint8_t { kBegin, kText, kEnd, kDone };

/// A pull parser of what S3 answers with: elements, text, the five named entities and numbers of
/// characters; attributes, comments and `<?...?>` are passed over. There are no entities to be
/// declared: a document type is refused, as is more than 16 elements deep. Safe for any bytes;
/// works within the text, in time proportional to it.
class XmlReader {
 public:
  /// `text` must stay.
  explicit XmlReader(std::string_view text) : rest_(text) {}

  /// Errors: kFailed for what is no such document. After kDone, or an error: the same again.
  Result<XmlEvent> next();
  /// Of kBegin and kEnd, without a prefix.
  std::string_view name() const { return name_; }
  /// Of kText, decoded.
  const std::string& text() const { return text_; }

 private:
  Result<XmlEvent> take_tag();
  Status pass(std::string_view end);
  Status take_text();
  tl::unexpected<Error> malformed(std::string_view why) const;

  static constexpr int kDepthMost = 16;
  std::string_view rest_, name_;
  std::string text_;
  std::string_view open_[kDepthMost];
  int depth_ = 0;
  bool closes_ = false, begun_ = false;
};

}  // namespace cairn::remote
