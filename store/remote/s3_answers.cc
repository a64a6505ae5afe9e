#include "store/remote/s3_answers.h"

#include <array>

#include <fmt/format.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "store/remote/answer_errors.h"
#include "store/remote/ascii.h"
#include "store/remote/http_date.h"
#include "store/remote/url.h"
#include "store/remote/xml_reader.h"

namespace cairn::remote {

namespace {

/// One element with text in it.
struct Leaf {
  std::string_view name, parent;
  size_t depth;  ///< 1: right within the root
  std::string text;
};

/// Calls `take` for each element without elements, `end` for the end of each that has some.
/// `root`: how the name of the root begins; on its end servers do not agree.
template <class Take, class End>
Status walk(std::string_view text, std::string_view root, const Take& take, const End& end) {
  XmlReader reader(text);
  std::vector<std::string_view> path;
  std::string content;
  bool is_leaf = false;
  for (;;) {
    CAIRN_TRY(const XmlEvent event, reader.next());
    if (event == XmlEvent::kDone) return {};
    if (event == XmlEvent::kText) content += reader.text();
    if (event == XmlEvent::kBegin) {
      path.push_back(reader.name());
      if (path.size() == 1 && !path[0].starts_with(root)) {
        return fail(Code::kFailed,
                    fmt::format("the answer is <{}>, not <{}...>", shown(path[0]), root));
      }
      content.clear();
      is_leaf = true;
    }
    if (event == XmlEvent::kEnd) {
      path.pop_back();
      if (is_leaf) take(Leaf{reader.name(), path.empty() ? "" : path.back(), path.size(), content});
      if (!is_leaf) end(reader.name());
      is_leaf = false;
    }
  }
}

/// As `encoding-type=url` has it.
std::string decoded(std::string text) {
  for (char& c : text) {
    if (c == '+') c = ' ';
  }
  const auto plain = percent_decode(text);
  return plain ? *plain : text;
}

std::optional<uint32_t> parse_crc32(std::string_view text) {
  const auto bytes = from_base64(text);
  if (!bytes || bytes->size() != 4) return std::nullopt;
  return __builtin_bswap32(load_le<uint32_t>(*bytes));
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

std::optional<S3Trouble> parse_s3_trouble(std::string_view text) {
  S3Trouble trouble;
  const auto take = [&](const Leaf& leaf) {
    if (leaf.name == "Code") trouble.code = shown(leaf.text);
    if (leaf.name == "Message") trouble.message = shown_long(leaf.text);
  };
  // What the document holds besides, a server may have cut.
  const Status walked = walk(text, "Error", take, [](std::string_view) {});
  if (!walked && trouble.code.empty()) return std::nullopt;
  return trouble.code.empty() ? std::nullopt : std::optional(trouble);
}

Result<Page<ListedObject>> parse_object_list(std::string_view text) {
  Page<ListedObject> page;
  ListedObject object;
  const auto take = [&](const Leaf& leaf) {
    if (leaf.name == "NextContinuationToken") page.next = leaf.text;
    if (leaf.parent != "Contents") return;
    if (leaf.name == "Key") object.key = decoded(leaf.text);
    if (leaf.name == "Size") object.info.bytes = parse_number(leaf.text).value_or(0);
    if (leaf.name == "ETag") object.info.version = leaf.text;
    if (leaf.name == "LastModified") object.info.modified_ns = parse_rfc3339(leaf.text).value_or(0);
  };
  CAIRN_CHECK(walk(text, "ListBucket", take, [&](std::string_view name) {
    if (name != "Contents") return;
    page.items.push_back(std::move(object));
    object = {};
  }));
  return page;
}

Result<Page<OpenUpload>> parse_upload_list(std::string_view text) {
  Page<OpenUpload> page;
  OpenUpload upload;
  std::string key_marker, id_marker;
  bool is_cut = false;
  const auto take = [&](const Leaf& leaf) {
    if (leaf.name == "IsTruncated") is_cut = leaf.text == "true";
    if (leaf.name == "NextKeyMarker") key_marker = decoded(leaf.text);
    if (leaf.name == "NextUploadIdMarker") id_marker = leaf.text;
    if (leaf.parent != "Upload") return;
    if (leaf.name == "Key") upload.key = decoded(leaf.text);
    if (leaf.name == "UploadId") upload.upload = leaf.text;
    if (leaf.name == "Initiated") upload.begun_ns = parse_rfc3339(leaf.text).value_or(0);
  };
  CAIRN_CHECK(walk(text, "ListMultipartUploads", take, [&](std::string_view name) {
    if (name != "Upload") return;
    page.items.push_back(std::move(upload));
    upload = {};
  }));
  if (is_cut) page.next = percent_encode(key_marker) + "&" + percent_encode(id_marker);
  return page;
}

Result<Page<UploadedPart>> parse_part_list(std::string_view text) {
  Page<UploadedPart> page;
  UploadedPart part;
  std::string marker;
  bool is_cut = false;
  const auto take = [&](const Leaf& leaf) {
    if (leaf.name == "IsTruncated") is_cut = leaf.text == "true";
    if (leaf.name == "NextPartNumberMarker") marker = leaf.text;
    if (leaf.parent != "Part") return;
    if (leaf.name == "PartNumber")
      part.number = static_cast<uint32_t>(parse_number(leaf.text).value_or(0));
    if (leaf.name == "Size") part.bytes = parse_number(leaf.text).value_or(0);
    if (leaf.name == "ETag") part.version = leaf.text;
    if (leaf.name == "ChecksumCRC32") part.crc32 = parse_crc32(leaf.text);
  };
  CAIRN_CHECK(walk(text, "ListParts", take, [&](std::string_view name) {
    if (name != "Part") return;
    page.items.push_back(std::move(part));
    part = {};
  }));
  if (is_cut) page.next = marker;
  return page;
}

/// The text of one element right within the root.
static Result<std::string> parse_one(std::string_view text, std::string_view root,
                                     std::string_view name) {
  std::string found;
  const auto take = [&](const Leaf& leaf) {
    if (leaf.name == name && leaf.depth == 1) found = leaf.text;
  };
  CAIRN_CHECK(walk(text, root, take, [](std::string_view) {}));
  if (!found.empty()) return found;
  return fail(Code::kFailed, fmt::format("the answer <{}...> has no <{}>", root, name));
}

Result<std::string> parse_upload_id(std::string_view text) {
  return parse_one(text, "InitiateMultipartUpload", "UploadId");
}

Result<std::string> parse_completed(std::string_view text) {
  return parse_one(text, "CompleteMultipartUpload", "ETag");
}

std::string format_crc32(uint32_t crc) {
  std::array<uint8_t, 4> bytes{};
  store_le(bytes, 0, __builtin_bswap32(crc));
  return to_base64(bytes);
}

std::string format_parts(const std::vector<UploadedPart>& parts) {
  std::string text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const UploadedPart& part : parts) {
    text += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>", part.number,
                        escaped(part.version));
    if (part.crc32) {
      text += fmt::format("<ChecksumCRC32>{}</ChecksumCRC32>", format_crc32(*part.crc32));
    }
    text += "</Part>";
  }
  return text + "</CompleteMultipartUpload>";
}

}  // namespace cairn::remote
