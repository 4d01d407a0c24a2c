"""How the first verse of each book begins in the World English Bible, in the order of its files with the Apocrypha."""

OPENINGS = (
    "In the beginning,",  # Genesis
    "Now these are",  # Exodus
    "Yahweh called to",  # Leviticus
    "Yahweh spoke to Moses in",  # Numbers
    "These are the words",  # Deuteronomy
    "Now after the",  # Joshua
    "After the death",  # Judges
    "In the days",  # Ruth
    "Now there was",  # 1 Samuel
    "After the death",  # 2 Samuel
    "Now King David",  # 1 Kings
    "Moab rebelled against",  # 2 Kings
    "Adam, Seth, Enosh,",  # 1 Chronicles
    "Solomon the son",  # 2 Chronicles
    "Now in the first",  # Ezra
    "The words of",  # Nehemiah
    "Now in the days",  # Esther
    "There was a man",  # Job
    "Blessed is the",  # Psalms
    "The proverbs of",  # Proverbs
    "The words of the Preacher,",  # Ecclesiastes
    "The Song of",  # Song of Songs
    "The vision of",  # Isaiah
    "The words of",  # Jeremiah
    "How the city",  # Lamentations
    "Now in the",  # Ezekiel
    "In the third",  # Daniel
    "Yahweh’s word that",  # Hosea
    "Yahweh’s word that",  # Joel
    "The words of",  # Amos
    "The vision of",  # Obadiah
    "Now Yahweh’s word",  # Jonah
    "Yahweh’s word that",  # Micah
    "A revelation about",  # Nahum
    "The revelation which",  # Habakkuk
    "Yahweh’s word which",  # Zephaniah
    "In the second",  # Haggai
    "In the eighth",  # Zechariah
    "A revelation, Yahweh’s",  # Malachi
    "The book of",  # Tobit
    "In the twelfth",  # Judith
    "[In the second",  # Esther, Greek
    "Love righteousness, all",  # Wisdom
    "All wisdom comes",  # Sirach
    "These are the",  # Baruch
    "After Alexander the",  # 1 Maccabees
    "The kindred, the",  # 2 Maccabees
    "Josias held the",  # 1 Esdras
    "O LORD Almighty",  # Manasses
    "I was small",  # Psalm 151
    "Now Philopater, on",  # 3 Maccabees
    "The second book",  # 2 Esdras
    "As I am",  # 4 Maccabees
    "The book of",  # Matthew
    "The beginning of",  # Mark
    "Since many have",  # Luke
    "In the beginning",  # John
    "The first book",  # Acts
    "Paul, a servant",  # Romans
    "Paul, called to",  # 1 Corinthians
    "Paul, an apostle",  # 2 Corinthians
    "Paul, an apostle—not",  # Galatians
    "Paul, an apostle",  # Ephesians
    "Paul and Timothy,",  # Philippians
    "Paul, an apostle",  # Colossians
    "Paul, Silvanus, and",  # 1 Thessalonians
    "Paul, Silvanus, and",  # 2 Thessalonians
    "Paul, an apostle",  # 1 Timothy
    "Paul, an apostle",  # 2 Timothy
    "Paul, a servant",  # Titus
    "Paul, a prisoner",  # Philemon
    "God, having in",  # Hebrews
    "James, a servant",  # James
    "Peter, an apostle",  # 1 Peter
    "Simon Peter, a",  # 2 Peter
    "That which was",  # 1 John
    "The elder, to",  # 2 John
    "The elder to",  # 3 John
    "Jude, a servant",  # Jude
    "This is the",  # Revelation
)
