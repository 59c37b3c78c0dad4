"""Manage whole files: their content, owner and mode."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..common.arguments import Mode
from ..common.state.plan import Plan, Step, same
from ._accumulators import texts_of
from ._alike import Indifference
from ._attributes import attributes, mode_text, parse_mode
from ._content import Content, Trust
from ._managed import Wanted, check_name, file_status, plan_file
from ._marks import with_attributes, with_context
from ._planning import planning
from ._recipe import Recipe
from ._signature import Signers
from ._text import diff_bytes

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
    signature: str | bool | None = None,
    source_hash_sig: str | bool | None = None,
    signed_by_any: str | list[str] | None = None,
    signed_by_all: str | list[str] | None = None,
    keyring: str | None = None,
    gnupghome: str | None = None,
    ignore_ordering: bool = False,
    ignore_whitespace: bool = False,
    ignore_comment_characters: str | list[str] | None = None,
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
        `source_hash` either: the server is asked at every run whether the source is still as it was (by its ETag).
    signature
        The URL of the source's detached OpenPGP signature, or True where the source has one in it. Checked by gpg
        before anything is written, and before a template is rendered.
    source_hash_sig
        The same for the file of digests that `source_hash` names, where the source is remote.
    signed_by_any, signed_by_all
        The fingerprints of the keys of which one, or each, must have signed; otherwise any key that gpg knows.
    keyring, gnupghome
        Where gpg finds the keys.
    attrs
        The attributes of the file system that it shall have, as letters for chattr(1): `i`, `a`.
    selinux
        Its SELinux context: `seuser`, `serole`, `setype`, `serange`. Without SELinux only a warning.
    ignore_ordering, ignore_whitespace, ignore_comment_characters
        What may differ without triggering a `watch` or `onchanges`: the order of lines, white space, and what stands
        after these characters. The file is changed all the same.
    new_file_diff
        Show the content of a new file, too.
    keep_source
        Accepted for trees that have it: sources stay in the cache.

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
            trust=Trust(
                skip_verify=skip_verify,
                hash_name=source_hash_name,
                verify_ssl=verify_ssl,
                use_etag=use_etag,
                hash_signature=source_hash_sig,
                signers=Signers.read(signed_by_any, signed_by_all, keyring, gnupghome),
            ),
            signature=signature,
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
    if content is not None:
        plan = _with_diff(plan, content) if new_file_diff and show_changes else plan
        indifference = Indifference.read(ignore_ordering, ignore_whitespace, ignore_comment_characters)
        plan = _unnoticed(plan, path, content, indifference) if indifference else plan
    if attrs is not None:
        plan = with_attributes(plan, path, attrs)
    return with_context(plan, path, selinux) if selinux else plan


def _with_diff(plan: Plan, content: Content) -> Plan:
    """Have the plan for a new file show what is in it."""
    if "newfile" not in plan.changes:
        return plan
    changes = {"diff": diff_bytes(b"", content.read())}
    step = Step("say what is in it", lambda: changes)
    return dataclasses.replace(plan, changes=changes, steps=(*plan.steps, step))


def _unnoticed(plan: Plan, path: str, content: Content, indifference: Indifference) -> Plan:
    """Let a change trigger nothing where all of it is of no importance."""
    if "diff" not in plan.changes:
        return plan
    with open(path, "rb") as file:
        covered = indifference.covers(file.read(), content.read())
    return dataclasses.replace(plan, extra={**plan.extra, "skip_req": True}) if covered else plan
