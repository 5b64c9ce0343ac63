"""The whole analysis of a conversation with red-dwarf: red_dwarf.py VOTES

VOTES holds one row a participant, one character an item: `+`, `-`, `0` for a pass, `.` for not seen. Prints one JSON object:
seconds (the least of three runs, reading excluded), the participants' group labels, the ratio of variance that each axis
explains, and group-aware consensus for each item.
"""

import json
import sys
import time

from reddwarf.implementations.polis import run_pipeline

VALUES = {"+": 1, "-": -1, "0": 0}


def main(path):
    with open(path, encoding="utf-8") as file:
        rows = [line.strip() for line in file]
    votes = [
        {"participant_id": person, "statement_id": item, "vote": VALUES[mark], "modified": 0}
        for person, row in enumerate(rows)
        for item, mark in enumerate(row)
        if mark in VALUES
    ]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        result = run_pipeline(votes=votes, random_state=1, max_group_count=5)
        times.append(time.perf_counter() - began)
    labels = [None] * len(rows)
    for person, row in result.participants_df.iterrows():
        label = row["cluster_id"]
        labels[int(person)] = None if label != label else int(label)
    consensus = result.group_aware_consensus["agree"]
    print(json.dumps({
        "operation": "analyse",
        "seconds": min(times),
        "labels": labels,
        "explained": [float(ratio) for ratio in result.reducer.named_steps["reduce"].explained_variance_ratio_]
        if hasattr(result.reducer, "named_steps") else [float(r) for r in result.reducer.explained_variance_ratio_],
        "consensus": [float(consensus[item]) for item in sorted(consensus)],
    }))


if __name__ == "__main__":
    main(sys.argv[1])
