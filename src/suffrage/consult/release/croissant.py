"""A release's metadata in MLCommons' Croissant 1.0 (http://mlcommons.org/croissant/1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from suffrage.consult.release.dataset_card import DICTIONARY, NOT_TOLD

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {"parquet": "application/x-parquet", "jsonl": "application/jsonlines", "csv": "text/csv"}


def croissant(
    manifest: Mapping[str, Any],
    columns: Mapping[str, Mapping[str, Any]],
    descriptions: Mapping[str, str],
) -> dict[str, Any]:
    """Return a release's Croissant metadata: every file with its SHA-256, and every column.

    Parameters
    ----------
    manifest : mapping
        The manifest of the release, with its files.
    columns : mapping
        The Polars type of each column, by table.
    descriptions : mapping
        What each table contains, by its name.
    """
    title = manifest["title"] or manifest["consultation"]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest["consultation"],
        "description": f"What the public consultation {title!r} collected, release "
        f"{manifest['release']}: votes on statements, choices between models' answers and "
        "reactions to them, with tables of who took part that cannot be joined to them.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": manifest["licence"],
        "url": manifest["about"]["url"] or f"urn:suffrage:{manifest['consultation']}",
        "version": f"{manifest['release']}.0.0",
        "datePublished": manifest["date"],
        "citeAs": f"{title}, release {manifest['release']}.",
        "inLanguage": manifest["languages"],
        "isLiveDataset": False,
        "rai:personalSensitiveInformation": "Opinions; published rows share no id with attributes.",
        "rai:dataCollection": manifest["about"]["recruitment"] or NOT_TOLD,
        "rai:dataReleaseMaintenancePlan": "Withdrawn people are left out of the next release.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{listed['bytes']} B",
                "encodingFormat": _FORMATS[name.rsplit(".", 1)[1]],
                "sha256": listed["sha256"],
            }
            for name, listed in manifest["files"].items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": table,
                "name": table,
                "description": descriptions[table],
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{table}/{column}",
                        "name": column,
                        "description": DICTIONARY.get(column, "An attribute, made coarse"),
                        "dataType": _data_type(kind),
                        "source": {
                            "fileObject": {"@id": f"data/{table}.parquet"},
                            "extract": {"column": column},
                        },
                    }
                    for column, kind in own.items()
                ],
            }
            for table, own in sorted(columns.items())
        ],
    }


def _data_type(kind: Any) -> str:
    if kind == pl.Boolean:
        return "sc:Boolean"
    if kind.is_integer():
        return "sc:Integer"
    return "sc:Float" if kind.is_float() else "sc:Text"
