"""Vocabulary of pocket's captions.

Every list contains synonyms of one label; a caption draws one at random. Words outside these lists
(`FILLER`, and anything a user types) carry no information for pocket. Training inserts unknown
words, so that it learns to ignore them.
"""

TEMPO = {
    "slow": [
        "slow",
        "sluggish",
        "leisurely",
        "unhurried",
        "languid",
        "lingering",
        "drawn-out",
        "plodding",
        "slow-moving",
        "downtempo",
        "adagio",
        "largo",
        "lento",
        "sleepy",
        "dragging",
        "crawling",
    ],
    "medium": [
        "mid-tempo",
        "moderate",
        "medium-paced",
        "walking-pace",
        "andante",
        "moderato",
        "steady-paced",
    ],
    "fast": [
        "fast",
        "quick",
        "rapid",
        "brisk",
        "up-tempo",
        "fast-paced",
        "speedy",
        "racing",
        "hurried",
        "presto",
        "allegro",
        "vivace",
        "galloping",
        "rushing",
        "breakneck",
        "swift",
    ],
}

BRIGHTNESS = {
    "dark": [
        "dark",
        "muted",
        "muffled",
        "dull",
        "deep",
        "murky",
        "subdued",
        "shadowy",
        "somber",
        "dim",
        "dusky",
        "veiled",
        "smoky",
        "low-lit",
        "gloomy",
        "shaded",
    ],
    "bright": [
        "bright",
        "brilliant",
        "crisp",
        "sparkling",
        "shimmering",
        "glittering",
        "airy",
        "gleaming",
        "shiny",
        "radiant",
        "glistening",
        "vibrant",
        "luminous",
        "crystal-clear",
        "sunny",
        "vivid",
    ],
}

DENSITY = {
    "sparse": [
        "sparse",
        "minimal",
        "bare",
        "stripped-down",
        "spacious",
        "uncluttered",
        "empty",
        "skeletal",
    ],
    "dense": ["dense", "busy", "layered", "full", "packed", "intricate", "crowded", "rich"],
}

DYNAMICS = {
    "soft": ["soft", "quiet", "hushed", "delicate", "whispered", "faint", "pianissimo", "tender"],
    "loud": [
        "loud",
        "booming",
        "thunderous",
        "powerful",
        "roaring",
        "fortissimo",
        "heavy",
        "blaring",
    ],
}

# Energy is derived: a piece is energetic if dense and loud, calm if sparse and soft.
ENERGY = {
    "calm": ["calm", "peaceful", "relaxed", "gentle", "soothing", "tranquil", "serene", "restful"],
    "energetic": [
        "energetic",
        "lively",
        "exciting",
        "intense",
        "driving",
        "fiery",
        "exhilarating",
        "dynamic",
    ],
}

MODE = {
    "major": ["in a major key", "in major", "happy", "cheerful", "joyful", "uplifting"],
    "minor": ["in a minor key", "in minor", "sad", "melancholy", "mournful", "wistful"],
}

GENRE = {
    "rock": ["rock", "rock band", "indie rock"],
    "jazz": ["jazz", "swing", "jazz combo"],
    "folk": ["folk", "acoustic folk", "country folk"],
    "electronic": ["electronic", "techno", "dance", "electro", "house"],
    "classical": ["classical", "orchestral", "chamber", "baroque"],
    "hip hop": ["hip hop", "hip-hop", "rap beat", "lo-fi beat"],
    "latin": ["latin", "salsa", "bossa nova", "samba"],
    "reggae": ["reggae", "roots reggae", "dub"],
    "funk": ["funk", "funky", "funk band"],
}

LEAD = {
    "piano": ["piano", "grand piano"],
    "guitar": ["guitar", "acoustic guitar"],
    "flute": ["flute"],
    "violin": ["violin", "fiddle"],
    "trumpet": ["trumpet"],
    "saxophone": ["saxophone", "sax"],
    "organ": ["organ"],
    "synth": ["synth", "synthesizer", "synth lead"],
    "cello": ["cello"],
    "marimba": ["marimba", "xylophone"],
    "harmonica": ["harmonica", "blues harp"],
    "bells": ["bells", "glockenspiel", "chimes"],
}

# A piece is acoustic or electronic by its genre; the rest are neither.
SOUND = {
    "acoustic": ["acoustic", "unplugged", "unamplified"],
    "electronic": ["synthetic", "synthesized", "digital", "electronic"],
}

FORM = [
    "track",
    "tune",
    "piece",
    "song",
    "music",
    "melody",
    "groove",
    "recording",
    "theme",
    "number",
    "solo",
    "duo",
    "instrumental",
    "cue",
    "take",
    "album track",
    "soundtrack",
    "style piece",
]

FILLER = [
    "with a memorable hook",
    "for a film scene",
    "for a quiet evening",
    "that tells a story",
    "for the road",
    "with a catchy theme",
    "played live",
    "recorded in a studio",
    "from a small ensemble",
    "for a video game",
    "with a strong beat",
    "for dancing",
    "that repeats",
    "full of character",
    "with a warm feeling",
    "for a documentary",
    "for the opening credits",
    "over drums and bass",
    "in a concert hall",
    "for a cafe",
    "on the radio",
    "for a train ride",
    "at a street market",
    "for a podcast intro",
    "for a theater play",
    "which stays to the end",
    "that feels like a beginning",
    "carries the main theme",
    "playing in front",
    "leads the band",
    "this is the main theme",
]


def vocabulary() -> list[str]:
    """Return every word that a caption can contain, sorted."""
    phrases: list[str] = list(FORM) + list(FILLER)
    for table in (TEMPO, BRIGHTNESS, DENSITY, DYNAMICS, ENERGY, SOUND, MODE, GENRE, LEAD):
        for synonyms in table.values():
            phrases += synonyms
    glue = [
        "a",
        "an",
        "the",
        "with",
        "and",
        "in",
        "at",
        "of",
        "bpm",
        "beats",
        "per",
        "minute",
        "for",
        "on",
        "led",
        "by",
        "featuring",
        "tempo",
        "very",
        ",",
        ".",
    ]
    words = {word for phrase in phrases for word in phrase.lower().split()} | set(glue)
    return sorted(words)
