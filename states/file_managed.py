"""Manage whole files: their content, owner and mode."""

from __future__ import annotations

from typing import Any

from ..common.arguments import Mode
from ..common.state.plan import Plan, same
from ._accumulators import texts_of
from ._attributes import attributes, mode_text, parse_mode
from ._managed import Wanted, check_name, file_status, plan_file
from ._marks import with_attributes, with_context
from ._planning import planning
from ._recipe import Recipe

__virtualname__ = "file"


@planning
def managed(
    name: str,
    source: str | list[Any] | dict[str, Any] | None = None,
    source_hash: str = "",
    source_hash_name: str | None = None,
    keep_source: bool = True,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: Mode | None = None,
    template: str | None = None,
    makedirs: bool = False,
    dir_mode: Mode | None = None,
    context: dict[str, Any] | None = None,
    replace: bool = True,
    defaults: dict[str, Any] | None = None,
    backup: str | bool = "",
    show_changes: bool = True,
    create: bool = True,
    contents: Any = None,
    tmp_dir: str = "",
    tmp_ext: str = "",
    contents_pillar: str | list[str] | None = None,
    contents_grains: str | list[str] | None = None,
    contents_newline: bool = True,
    contents_delimiter: str = ":",
    encoding: str | None = None,
    encoding_errors: str = "strict",
    allow_empty: bool = True,
    follow_symlinks: bool = True,
    check_cmd: str | None = None,
    skip_verify: bool = False,
    attrs: str | None = None,
    selinux: dict[str, Any] | None = None,
    verify_ssl: bool = True,
    use_etag: bool = False,
    new_file_diff: bool = False,
) -> Plan:
    """Make sure that a file has the given content, owner and mode.

    name
        The file's absolute path.
    source
        Where its content comes from: `salt://` or `ctl://` for the state tree, `http://`, `https://` or `ftp://`
        (with `source_hash`), or an absolute path. Of a list, the first that exists.
    source_hash, source_hash_name
        The digest of a source that is not in the tree: hex digits, `sha256=...`, or the URL of a file of digests, in
        which `source_hash_name` (or else the name of the source, or of the file) is looked up.
    contents, contents_pillar, contents_grains
        The content itself, as a text or a list of lines, or the key that holds it.
    contents_newline
        End such content with a newline.
    template, context, defaults
        Render the content, with an engine (`jinja`) and the variables of `defaults` and, over them, `context`.
    user, group, mode
        The owner, and four octal digits or `keep` (the mode that the source has).
    makedirs, dir_mode
        Make the directory that it is in, and with which mode.
    replace
        False: leave the content of a file that exists alone.
    create
        False: do nothing where the file does not exist.
    backup
        `minion`: keep a copy of what is replaced.
    check_cmd
        A command that gets the path of a file with the new content; where it fails, nothing is replaced.
    allow_empty
        False: refuse content that is empty.
    follow_symlinks
        Change what a symlink points to; False replaces the symlink.
    skip_verify, verify_ssl, use_etag
        Take a remote source as it comes, or from a server whose certificate is not right. `use_etag` needs no
        `source_hash` either: such a source is fetched at every run.
    attrs
        The attributes of the file system that it shall have, as letters for chattr(1): `i`, `a`.
    selinux
        Its SELinux context: `seuser`, `serole`, `setype`, `serange`. Without SELinux only a warning.
    keep_source, new_file_diff
        Accepted for trees that have them: sources stay in the cache, and the content of a new file is not shown.

    SLS example:

        /etc/motd:
          file.managed:
            - source: salt://motd.jinja
            - template: jinja
            - mode: '0644'
    """
    path = check_name(name)
    exists = file_status(path, follow=follow_symlinks) is not None
    if not exists and not create:
        return same(f"File {path} is not there, and is not to be created")
    content = None
    if replace or not exists or mode == "keep":
        recipe = Recipe(
            source=source or None,
            source_hash=source_hash,
            source_hash_name=source_hash_name,
            skip_verify=skip_verify or use_etag,
            verify_ssl=verify_ssl,
            contents=contents,
            contents_pillar=contents_pillar,
            contents_grains=contents_grains,
            contents_newline=contents_newline,
            contents_delimiter=contents_delimiter,
            allow_empty=allow_empty,
            template=template,
            context=context,
            defaults=defaults,
            encoding=encoding,
            encoding_errors=encoding_errors,
        )
        facts: dict[str, Any] = {"user": user, "group": group, "mode": mode}
        collected = texts_of(path)
        content = recipe.content(path, {**facts, "accumulator": collected} if collected else facts)
    if mode == "keep":
        mode = mode_text(content.mode) if content is not None and content.mode is not None else None
    plan = plan_file(
        Wanted(
            path=path,
            content=content if replace or not exists else None,
            attributes=attributes(user, group, mode),
            makedirs=makedirs,
            dir_mode=parse_mode(dir_mode),
            backup=backup,
            show_changes=show_changes,
            follow=follow_symlinks,
            check_cmd=check_cmd or "",
            tmp_dir=tmp_dir,
            tmp_ext=tmp_ext,
        )
    )
    if attrs is not None:
        plan = with_attributes(plan, path, attrs)
    return with_context(plan, path, selinux) if selinux else plan
