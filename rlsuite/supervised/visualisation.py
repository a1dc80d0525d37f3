"""placeholder"""

from rlsuite.supervised.classification import report_classes as report_pictures
